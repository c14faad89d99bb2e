package cluster

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

// replacesKey marks, in the private part of a plan, a cluster that is made anew
// in the place of another. Terraform asks for such a plan twice: with the old
// state, and then, as for a new cluster, without it.
const replacesKey = "replaces"

// planReplacement says what a change of name or base_dir costs, and refuses it
// where the cluster is protected. It returns whether the plan replaces a cluster:
// what is on the hosts now is in the way of the new one, and is gone by the time it comes.
func planReplacement(ctx context.Context, plan model, state *model, resp *resource.ModifyPlanResponse) bool {
	if state == nil {
		mark, _ := resp.Private.GetKey(ctx, replacesKey)
		return string(mark) == "true"
	}
	attribute, replaced := state.replacedBy(plan)
	resp.Diagnostics.Append(markReplacement(ctx, resp.Private, replaced)...)
	if !replaced || !state.Formed.ValueBool() {
		return replaced
	}
	cost := fmt.Sprintf("A new %s makes a new cluster: cluster %s is deleted first, with all its data.", attribute, state.Name.ValueString())
	if state.DeletionProtection.ValueBool() {
		resp.Diagnostics.AddAttributeError(path.Root(attribute), "Redis Cluster Is Protected Against Replacement",
			cost+fmt.Sprintf(" If that is meant, set deletion_protection = false and apply with the old %s before. To keep the data, leave %s as it was.", attribute, attribute))
		return true
	}
	resp.Diagnostics.AddAttributeWarning(path.Root(attribute), "Redis Cluster Is Replaced", cost)
	return true
}

// replacedBy says whether plan is another cluster than m, and by which attribute.
func (m *model) replacedBy(plan model) (attribute string, replaced bool) {
	switch {
	case !plan.Name.IsUnknown() && !m.Name.Equal(plan.Name):
		return "name", true
	case !plan.BaseDir.IsUnknown() && !m.BaseDir.Equal(plan.BaseDir):
		return "base_dir", true
	}
	return "", false
}

func markReplacement(ctx context.Context, p interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}, replaced bool) diag.Diagnostics {
	return p.SetKey(ctx, replacesKey, fmt.Append(nil, replaced))
}
