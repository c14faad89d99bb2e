package loadtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
)

// vmMending bounds starting a VM again after its fault.
const vmMending = 5 * time.Minute

// breakVM stops or resets the VM that p is on, through its cloud, and sees to it
// that it runs again, also when ctx ends before.
func breakVM(ctx context.Context, s *fleet.Session, p connection.Process, planned spec.Fault, say func(spec.LoadControl)) error {
	cloud := s.GCE()
	if cloud == nil || p.Instance == "" {
		return fmt.Errorf("%s breaks the VM of %s, of which nothing is known; set the node's instance", planned.Kind, p.Name)
	}
	ref, err := cloud.Ref(p.Instance)
	if err != nil {
		return err
	}
	say(spec.LoadControl{FaultInjected: true})
	s.Progress().Say(ctx, p.Name, fmt.Sprintf("%s of %s", planned.Kind, ref.Name))
	if planned.Kind == spec.FaultVMReset {
		if err := cloud.Reset(ctx, ref); err != nil {
			return err
		}
		say(spec.LoadControl{FaultRecovered: true})
		return nil
	}
	due := time.After(planned.RecoverAfter.D())
	stopErr := cloud.Stop(ctx, ref)
	if stopErr == nil {
		select {
		case <-due:
		case <-ctx.Done():
		}
	}
	mending, cancel := context.WithTimeout(context.WithoutCancel(ctx), vmMending)
	defer cancel()
	if err := cloud.Start(mending, ref); err != nil {
		return errors.Join(stopErr, err)
	}
	s.Progress().Say(mending, p.Name, "recovered from "+string(planned.Kind))
	say(spec.LoadControl{FaultRecovered: true})
	return stopErr
}
