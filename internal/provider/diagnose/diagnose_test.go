package diagnose_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/diagnose"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

func TestDetailHasThePartsOfAFailure(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &spec.Failure{Host: "kv-1", Step: "install", Cause: "no space", Advice: "Make room."})
	want := "Host:  kv-1\nStep:  install\nCause: no space\n\nMake room."
	if got := diagnose.Detail(err); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDetailNamesEveryHost(t *testing.T) {
	var errs []error
	for i := range 7 {
		errs = append(errs, &reach.UnreachableError{Host: fmt.Sprintf("kv-%d", i), Err: errors.New("timed out")})
	}
	got := diagnose.Detail(errors.Join(errs...))
	for _, want := range []string{"7 hosts failed", "kv-0", "kv-4", "and 2 more"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if strings.Contains(got, "kv-5") {
		t.Errorf("%q spells out more than five", got)
	}
}
