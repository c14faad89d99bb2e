//go:build unix

package reach_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

func TestLocalRunsWithItsStreams(t *testing.T) {
	var out, errs bytes.Buffer
	err := reach.Local{}.Run(t.Context(), reach.Command{
		Args:   []string{"sh", "-c", `cat; echo "$1" >&2`, "sh", "two  words"},
		Stdin:  strings.NewReader("fed"),
		Stdout: &out, Stderr: &errs,
	})
	if err != nil || out.String() != "fed" || errs.String() != "two  words\n" {
		t.Fatalf("err %v, stdout %q, stderr %q", err, &out, &errs)
	}
}

func TestLocalExitCode(t *testing.T) {
	err := reach.Local{}.Run(t.Context(), reach.Command{Args: []string{"sh", "-c", "exit 7"}})
	var exit *reach.ExitError
	if !errors.As(err, &exit) || exit.Code != 7 {
		t.Fatalf("err %v, want exit code 7", err)
	}
}

// A command that ends while its caller still holds stdin open has ended.
func TestLocalDoesNotWaitForStdin(t *testing.T) {
	r, w := io.Pipe()
	defer func() { _ = w.Close() }()
	begin := time.Now()
	if err := (reach.Local{}).Run(t.Context(), reach.Command{Args: []string{"true"}, Stdin: r}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > soon {
		t.Fatalf("returned after %v although the command ended at once", took)
	}
}

func TestLocalCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("asked to stop")
	var out bytes.Buffer
	time.AfterFunc(200*time.Millisecond, func() { cancel(why) })
	begin := time.Now()
	err := reach.Local{}.Run(ctx, reach.Command{
		Args:   []string{"sh", "-c", `trap 'kill $!; echo tidied; exit 1' TERM; sleep 60 & wait`},
		Stdout: &out,
	})
	if !errors.Is(err, why) || time.Since(begin) > 20*time.Second || out.String() != "tidied\n" {
		t.Fatalf("err %v after %v, stdout %q", err, time.Since(begin), &out)
	}
}
