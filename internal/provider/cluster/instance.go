package cluster

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/gce"
)

// lookups is how many instances are looked up at once.
const lookups = 32

// locate gives the nodes of a plan what their instances know and the
// configuration does not say: address, zone and id. During a plan that is asked
// anew, since an instance that was made again under its old name has another id;
// during an apply (settle) only what the plan had to leave open.
func (m *model) locate(ctx context.Context, f *fleet.Fleet, config model, settle bool) diag.Diagnostics {
	planned, diags := nodesOf(ctx, m.Nodes)
	given, more := nodesOf(ctx, config.Nodes)
	diags.Append(more...)
	if planned == nil || given == nil || diags.HasError() {
		return diags
	}
	asked := maps.Clone(given)
	maps.DeleteFunc(asked, func(name string, n nodeModel) bool {
		open := n.Address.IsNull() || n.Zone.IsNull() || n.InstanceID.IsNull()
		return unsettled(n.Instance) || !open || settle && planned[name].located()
	})
	found, more := lookUp(ctx, f, asked)
	diags.Append(more...)
	for name, n := range planned {
		instance, ok := found[name]
		if settle && n.located() {
			continue
		}
		n.Address = n.fact(given[name].Address, n.Address, instance.Address, ok)
		n.Zone = n.fact(given[name].Zone, n.Zone, instance.Zone, ok)
		n.InstanceID = n.fact(given[name].InstanceID, n.InstanceID, instance.ID, ok)
		planned[name] = n
	}
	var nodes types.Map
	nodes, more = types.MapValueFrom(ctx, types.ObjectType{AttrTypes: nodeTypes()}, planned)
	diags.Append(more...)
	if !diags.HasError() {
		m.Nodes = nodes
	}
	return diags
}

// located says whether the plan knows all that an instance would say.
func (n nodeModel) located() bool {
	return !n.Address.IsUnknown() && !n.Zone.IsUnknown() && !n.InstanceID.IsUnknown()
}

// fact is one attribute: what the user gave, or else what was found, or null
// where there is no instance to ask, or unknown while it is still to be made.
func (n nodeModel) fact(given, planned types.String, found string, ok bool) types.String {
	switch {
	case !given.IsNull():
		return planned
	case ok:
		return types.StringValue(found)
	case n.Instance.IsNull():
		return types.StringNull()
	default:
		return types.StringUnknown()
	}
}

// lookUp asks for the instances of nodes, several at once.
func lookUp(ctx context.Context, f *fleet.Fleet, nodes map[string]nodeModel) (map[string]gce.Instance, diag.Diagnostics) {
	var diags diag.Diagnostics
	if len(nodes) == 0 || f == nil || f.GCE == nil {
		return nil, diags
	}
	var mu sync.Mutex
	found := make(map[string]gce.Instance)
	failed := make(map[string]error)
	var group errgroup.Group
	group.SetLimit(lookups)
	for name, n := range nodes {
		group.Go(func() error {
			ref, err := f.GCE.Ref(n.Instance.ValueString())
			var instance gce.Instance
			if err == nil {
				instance, err = f.GCE.Instance(ctx, ref)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[name] = err
			} else {
				found[name] = instance
			}
			return nil
		})
	}
	_ = group.Wait()
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		at := path.Root("nodes").AtMapKey(name).AtName("instance")
		if gone := new(gce.NotFoundError); errors.As(failed[name], &gone) {
			diags.AddAttributeError(at, "Instance Missing", gone.Error()+". If it was deleted, take the node out of nodes or have Terraform make the instance again.")
			continue
		}
		diags.AddAttributeError(at, "Unable to Look Up Instance", failed[name].Error())
	}
	return found, diags
}
