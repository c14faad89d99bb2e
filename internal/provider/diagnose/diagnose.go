// Package diagnose words errors for Terraform's users, all in one grammar: the
// summary says what could not be done; the detail says on which host, in which
// step, why, and what to do next.
package diagnose

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/embedded"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// shown is how many failures a message spells out; a fleet that fails as a
// whole fails in one way.
const shown = 5

// Error adds err to diags under summary. With an err of nil it adds nothing.
func Error(diags *diag.Diagnostics, summary string, err error) {
	if err != nil {
		diags.AddError(summary, Detail(err))
	}
}

// Detail words err: each host's failure with its parts.
func Detail(err error) string {
	failures := Each(err)
	var b strings.Builder
	if len(failures) > 1 {
		fmt.Fprintf(&b, "%d hosts failed.\n\n", len(failures))
	}
	for i, failure := range failures {
		if i == shown {
			fmt.Fprintf(&b, "… and %d more.\n", len(failures)-shown)
			break
		}
		b.WriteString(describe(failure))
		b.WriteByte('\n')
	}
	return strings.TrimSpace(b.String())
}

// describe words one failure.
func describe(err error) string {
	f := failure(err)
	var b strings.Builder
	if f.Host != "" {
		fmt.Fprintf(&b, "Host:  %s\n", f.Host)
	}
	if f.Step != "" {
		fmt.Fprintf(&b, "Step:  %s\n", f.Step)
	}
	fmt.Fprintf(&b, "Cause: %s\n", f.Cause)
	if f.Advice != "" {
		fmt.Fprintf(&b, "\n%s\n", f.Advice)
	}
	return b.String()
}

// failure gives err the parts of a failure.
func failure(err error) spec.Failure {
	var f *spec.Failure
	var unreachable *reach.UnreachableError
	var missing *embedded.MissingError
	switch {
	case errors.As(err, &f):
		return *f
	case errors.As(err, &unreachable):
		return spec.Failure{
			Host: unreachable.Host, Step: "connect", Cause: unreachable.Err.Error(),
			Advice: "Nothing on this host was touched. Check that it runs and that the provider's ssh settings (user, key, bastion, host key) are right, then apply again.",
		}
	case errors.As(err, &missing):
		return spec.Failure{Step: "choose redis-bootstrap", Cause: missing.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return spec.Failure{Cause: "the time for this operation is over", Advice: "Apply again to go on from here, or raise the timeouts attribute."}
	case errors.Is(err, context.Canceled):
		return spec.Failure{Cause: "interrupted", Advice: "Apply again to go on from here."}
	}
	return spec.Failure{Cause: err.Error()}
}

// Each takes joined errors apart; of nil there is none.
func Each(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, Each(e)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
