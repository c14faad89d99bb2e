package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/diagnose"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/login"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// ValidateConfig implements resource.ResourceWithValidateConfig.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var config model
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	in, diags := config.input(ctx, config.PasswordWO)
	resp.Diagnostics.Append(diags...)
	report(&resp.Diagnostics, check(in))
}

// input gives m as far as it is known.
func (m model) input(ctx context.Context, pw types.String) (input, diag.Diagnostics) {
	nodes, diags := nodesOf(ctx, m.Nodes)
	in := input{
		nodes: nodes, replicas: m.ReplicasPerShard, spare: m.SpareReplicas, allowUnauthenticated: m.AllowUnauthenticated,
		password: !pw.IsNull(), config: make(map[string]string),
	}
	if !unsettled(m.Server) {
		diags.Append(m.Server.As(ctx, &in.server, basetypes.ObjectAsOptions{UnhandledNullAsEmpty: true, UnhandledUnknownAsEmpty: true})...)
	}
	for name, v := range m.Config.Elements() {
		if text, ok := v.(types.String); ok {
			in.config[name] = text.ValueString()
		}
	}
	return in, diags
}

// ModifyPlan implements resource.ResourceWithModifyPlan.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		r.planDestroy(ctx, req, resp)
		return
	}
	var plan, config model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(plan.locate(ctx, r.fleet, config, false)...)
	in, diags := plan.input(ctx, config.PasswordWO)
	resp.Diagnostics.Append(diags...)
	report(&resp.Diagnostics, check(in))
	if resp.Diagnostics.HasError() {
		return
	}
	if open(in) {
		resp.Diagnostics.AddAttributeWarning(path.Root("allow_unauthenticated"), "Redis Cluster Without a Password",
			"Whoever can reach the ports of this cluster can read, change and delete all its data.")
	}
	if cost := forgetful(in); cost != "" {
		resp.Diagnostics.AddAttributeWarning(path.Root("config").AtMapKey("appendonly"), "Redis Cluster Forgets in a Crash", cost)
	}
	var state *model
	if !req.State.Raw.IsNull() {
		state = new(model)
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	}
	replaces := planReplacement(ctx, plan, state, resp)
	resp.Diagnostics.Append(plan.foresee(ctx, state, !req.Plan.Raw.Equal(req.State.Raw))...)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	if resp.Diagnostics.HasError() || !plan.known() || !plan.Status.IsUnknown() || r.fleet == nil || replaces {
		return
	}
	r.preview(ctx, plan, state, config, resp)
}

func (r *Resource) planDestroy(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	var protected, formed types.Bool
	resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("deletion_protection"), &protected)...)
	resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("formed"), &formed)...)
	if protected.ValueBool() && formed.ValueBool() {
		resp.Diagnostics.AddAttributeError(path.Root("deletion_protection"), cannotDelete,
			"The cluster is protected against deletion, and this plan deletes it with all its data. If that is meant, set deletion_protection = false, apply, and destroy then.")
	}
}

// foresee sets what is known before the apply of what only the provider gives:
// what follows from the inputs, and the topology where nothing touches it.
func (m *model) foresee(ctx context.Context, state *model, changed bool) diag.Diagnostics {
	var diags diag.Diagnostics
	m.Drift = noDrift()
	if m.known() {
		diags = m.derive(ctx)
	} else {
		m.Endpoints, m.Connection = types.ListUnknown(types.StringType), types.ObjectUnknown(connection.AttrTypes())
	}
	if state == nil || !state.Formed.ValueBool() {
		m.Formed, m.topologyModel = types.BoolUnknown(), unknownTopology()
		return diags
	}
	m.Formed = state.Formed
	switch {
	case ailing(state.Status), len(state.Drift.Elements()) > 0:
		m.topologyModel = unknownTopology() // The apply repairs it.
	case !changed || m.sameHosts(*state):
		m.topologyModel = state.topologyModel
	default:
		m.topologyModel = unknownTopology()
	}
	return diags
}

// ailing says whether a cluster has to be looked after. One that could not be
// asked has not: it may be well.
func ailing(status types.String) bool {
	return status.ValueString() == string(spec.HealthDegraded) || status.ValueString() == string(spec.HealthDown)
}

// sameHosts says whether an apply of m has nothing to do on any host.
func (m model) sameHosts(state model) bool {
	pairs := [][2]attr.Value{
		{m.Name, state.Name}, {m.BaseDir, state.BaseDir}, {m.Nodes, state.Nodes}, {m.ReplicasPerShard, state.ReplicasPerShard}, {m.SpareReplicas, state.SpareReplicas},
		{m.Server, state.Server}, {m.Config, state.Config}, {m.PasswordWOVersion, state.PasswordWOVersion},
		{m.AllowUnauthenticated, state.AllowUnauthenticated}, {m.TuneOS, state.TuneOS}, {m.TakeOver, state.TakeOver},
	}
	return !slices.ContainsFunc(pairs, func(p [2]attr.Value) bool { return !p[0].Equal(p[1]) })
}

// preview has the hosts say what an apply would do, touching nothing: a
// directive that the server refuses is refused here, and the steps that change
// a cluster are shown. Hosts that cannot be asked yet are left out.
func (r *Resource) preview(ctx context.Context, plan model, state *model, config model, resp *resource.ModifyPlanResponse) {
	want, diags := plan.desired(ctx)
	resp.Diagnostics.Append(diags...)
	o := order{want: want, create: state == nil, password: password{value: secret(config)}}
	if state != nil {
		had, diags := state.desired(ctx)
		resp.Diagnostics.Append(diags...)
		o.former, o.staying = former(had.Processes, want.Processes), staying(had.Processes, want.Processes)
		o.adopt = state.foreign(ctx, resp.Private)
		o.password.keep = plan.PasswordWOVersion.Equal(state.PasswordWOVersion)
	}
	reached, diags := login.Fleet(ctx, r.fleet, plan.SSH)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	session := reached.Borrow()
	defer closing(session, &resp.Diagnostics)
	out, err := preview(ctx, session, o, askable(want, state != nil))
	if err = withoutUnreachable(err); err != nil {
		refuse(&resp.Diagnostics, want, err)
		return
	}
	if state != nil && len(out.steps) > 0 {
		text := "An apply will:\n- " + strings.Join(out.steps, "\n- ")
		if out.inAll != "" {
			text += "\n\n" + out.inAll
		}
		resp.Diagnostics.AddWarning("Steps to Change Redis Cluster "+want.Cluster, text)
	}
}

// askable gives the machines that can be asked at plan time: this one, and
// those that the cluster is on already.
func askable(want desired, exists bool) []fleet.Machine {
	return slices.DeleteFunc(want.Machines(), func(m fleet.Machine) bool { return !m.Local && !exists })
}

// withoutUnreachable drops the hosts that could not be asked: they may be made by this very apply.
func withoutUnreachable(err error) error {
	return errors.Join(slices.DeleteFunc(diagnose.Each(err), func(e error) bool {
		return errors.As(e, new(*reach.UnreachableError))
	})...)
}

// refuse words a refusal at the attribute that it is about, if it is about one.
func refuse(diags *diag.Diagnostics, want desired, err error) {
	for _, name := range slices.Sorted(maps.Keys(want.Config)) {
		if strings.Contains(err.Error(), fmt.Sprintf("config[%q]", name)) {
			diags.AddAttributeError(path.Root("config").AtMapKey(name), "Invalid Redis Directive", diagnose.Detail(err))
			return
		}
	}
	for _, p := range want.Processes {
		if strings.Contains(err.Error(), "node "+p.Name+":") {
			key, _, _ := strings.Cut(p.Name, ":")
			diags.AddAttributeError(path.Root("nodes").AtMapKey(key), cannotPlan, diagnose.Detail(err))
			return
		}
	}
	diagnose.Error(diags, cannotPlan, err)
}

// adviseOne makes err a failure that ends in advice, if it is an unreachable host.
func adviseOne(err error, advice string) error {
	u := new(reach.UnreachableError)
	if !errors.As(err, &u) {
		return err
	}
	return &spec.Failure{Host: u.Host, Step: "connect", Cause: u.Err.Error(), Advice: advice}
}
