// Package spec is the contract between the Terraform provider and redis-bootstrap.
//
// Each machine-facing subcommand of redis-bootstrap reads one request as JSON on
// stdin, writes one result as JSON on stdout, and logs hclog JSON lines on
// stderr. Both programs are built from the same tree and the provider pushes the
// binary that it embeds, so the two sides always agree; Version guards the case
// of somebody calling an old binary by hand.
package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Version is the version of the contract. It is raised when a request or a
// result changes in a way that an older binary would misread.
const Version = 1

// Versioned is embedded by every request.
type Versioned struct {
	// SpecVersion must equal Version.
	SpecVersion int `json:"spec_version"`
}

// V is the Versioned header of this build.
func V() Versioned { return Versioned{SpecVersion: Version} }

func (v Versioned) specVersion() int { return v.SpecVersion }

// Decode reads one request from dec. It refuses another spec version and unknown
// fields, because a field that is silently ignored is a setting that is
// silently not applied.
func Decode[T interface{ specVersion() int }](dec *json.Decoder) (T, error) {
	var req T
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		if errors.Is(err, io.EOF) {
			return req, errors.New("no request on stdin")
		}
		return req, fmt.Errorf("request on stdin: %w", err)
	}
	if got := req.specVersion(); got != Version {
		return req, fmt.Errorf("request has spec version %d, this redis-bootstrap speaks %d", got, Version)
	}
	return req, nil
}

// A caller that may be cut off attends to its command: it gives it AttendedFlag
// with Attended as its value, keeps the command's stdin open after the request,
// and writes a byte there now and then. Otherwise the command stops what it does,
// in an orderly way. Attended is no longer than SSH takes to tell the caller, so
// that it does not start the next command beside this one.
const (
	AttendedFlag = "attended"
	Attended     = 15 * time.Second
)

// Failure is what a subcommand writes on stdout, as {"failure": …}, when it
// exits with a code other than 0. Its parts become the parts of the user's message.
type Failure struct {
	// Host is the host or node that failed, as the user named it; may be empty.
	Host string `json:"host,omitempty"`
	// Step is what was being done, in words ("install redis-server").
	Step string `json:"step,omitempty"`
	// Cause is the error, with the last output of a failed command.
	Cause string `json:"cause"`
	// Advice says what to do next; may be empty.
	Advice string `json:"advice,omitempty"`
}

// Error implements error as "host: step: cause".
func (f *Failure) Error() string {
	s := f.Cause
	if f.Step != "" {
		s = f.Step + ": " + s
	}
	if f.Host != "" {
		s = f.Host + ": " + s
	}
	return s
}

// Secret is a string that shows itself in JSON only, so that it can travel on
// stdin but not in a log, an error or a %v.
type Secret string

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// Format hides the value from every fmt verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// Duration is a time.Duration that is written as Go writes it ("20s", "1m30s").
type Duration time.Duration

// D returns d as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String returns d as Go writes it.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Log fields of a line on stderr that reports progress rather than a fact. The
// message is the text for people; the fields are for a progress bar.
const (
	// LogDone and LogTotal count work done and work in all, in LogUnit.
	LogDone  = "done"
	LogTotal = "total"
	LogUnit  = "unit"
	// LogPhase names the phase that a line belongs to, as the user would ("install", "form", "load").
	LogPhase = "phase"
)
