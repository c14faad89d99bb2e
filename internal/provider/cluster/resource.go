// Package cluster is the resource redis_cluster and the data source of the same name.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/diagnose"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/login"
)

// The summaries of errors, one for each operation.
const (
	cannotCreate = "Unable to Create Redis Cluster"
	cannotRead   = "Unable to Read Redis Cluster"
	cannotUpdate = "Unable to Update Redis Cluster"
	cannotDelete = "Unable to Delete Redis Cluster"
	cannotImport = "Unable to Import Redis Cluster"
	cannotPlan   = "Unable to Plan Redis Cluster"
)

const (
	applyTimeout  = 30 * time.Minute
	deleteTimeout = 10 * time.Minute
	// afterwards bounds finding out what an apply that failed has left.
	afterwards = 15 * time.Second
)

// Resource is redis_cluster.
type Resource struct{ fleet *fleet.Fleet }

// NewResource makes a redis_cluster.
func NewResource() resource.Resource { return &Resource{} }

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
)

// Metadata implements resource.Resource.
func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_cluster"
}

// Schema implements resource.Resource.
func (r *Resource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = resourceSchema(ctx)
}

// Configure implements resource.ResourceWithConfigure.
func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if f, ok := req.ProviderData.(*fleet.Fleet); ok {
		r.fleet = f
	}
}

// Create implements resource.Resource.
func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan, config model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	timeout, diags := plan.Timeouts.Create(ctx, applyTimeout)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(plan.locate(ctx, r.fleet, config, true)...)
	want, diags := plan.desired(ctx)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(plan.derive(ctx)...)
	resp.Diagnostics.Append(markReplacement(ctx, resp.Private, false)...)
	if resp.Diagnostics.HasError() {
		return
	}
	work, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	session := r.session(ctx, plan, &resp.Diagnostics)
	defer closing(session, &resp.Diagnostics)

	out, err := converge(work, session, order{want: want, create: true, password: password{value: secret(config)}})
	tell(&resp.Diagnostics, out)
	if err != nil {
		r.createFailed(ctx, session, err, out, plan, want, resp)
		return
	}
	plan.Formed = types.BoolValue(true)
	resp.Diagnostics.Append(plan.observed(ctx, out.status)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// createFailed keeps in the state what a creation has left on the hosts, so
// that nothing is forgotten. Terraform replaces a resource whose creation gave
// an error; after an interruption there is none, and the next apply goes on.
func (r *Resource) createFailed(ctx context.Context, s *fleet.Session, err error, out outcome, plan model, want desired, resp *resource.CreateResponse) {
	interrupted := ctx.Err() != nil
	if !interrupted || !out.begun {
		diagnose.Error(&resp.Diagnostics, cannotCreate, err)
	}
	if !out.begun {
		return
	}
	plan.Formed = types.BoolValue(false)
	resp.Diagnostics.Append(plan.observed(ctx, aftermath(ctx, s, want.Connection, err))...)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	if interrupted {
		resp.Diagnostics.AddWarning("Redis Cluster Unfinished", "The creation was interrupted. What was done is kept: apply again to go on from here, or destroy to remove it.")
	}
}

// aftermath finds out how a cluster is after an apply failed with err.
func aftermath(ctx context.Context, s *fleet.Session, c connection.Connection, err error) spec.ClusterStatus {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	status, lookErr := observe(ctx, s, c)
	if lookErr != nil {
		status = spec.ClusterStatus{Health: spec.HealthDown}
	}
	if status.Health == spec.HealthOK {
		// It answers, but is not what was ordered: the next apply has to look at it.
		status.Health = spec.HealthDegraded
	}
	status.Problems = append(status.Problems, "The last apply failed: "+firstLine(err.Error()))
	return status
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// Read implements resource.Resource.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state model
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	had, diags := state.desired(ctx)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(state.derive(ctx)...)
	if resp.Diagnostics.HasError() {
		return
	}
	session := r.session(ctx, state, &resp.Diagnostics)
	defer closing(session, &resp.Diagnostics)

	look := observe
	pending := state.foreign(ctx, req.Private) != nil
	if pending {
		look = lookAt
	}
	status, err := look(ctx, session, had.Connection)
	switch {
	case errors.Is(err, errGone):
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		diagnose.Error(&resp.Diagnostics, cannotRead, err)
		return
	case status.Health == spec.HealthUnreachable:
		resp.Diagnostics.AddWarning("Redis Cluster Unreachable", fmt.Sprintf(
			"No host of %s could be asked, so that nothing is known of it now; it may be well. What was known of it is kept.\n\n%s",
			had.Cluster, strings.Join(status.Problems, "\n")))
		state.Status = types.StringValue(string(status.Health))
		problems, diags := types.ListValueFrom(ctx, types.StringType, status.Problems)
		resp.Diagnostics.Append(diags...)
		state.Problems = problems
	default:
		resp.Diagnostics.Append(state.observed(ctx, status)...)
		if state.Drift = noDrift(); !pending { // What differs is of no concern until it is taken over.
			resp.Diagnostics.Append(state.compare(ctx, session, had)...)
		}
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// compare notes what was changed by hand. A cluster whose creation came to no
// end is finished by the next apply anyway.
func (m *model) compare(ctx context.Context, s *fleet.Session, had desired) diag.Diagnostics {
	m.Drift = noDrift()
	if !m.Formed.ValueBool() {
		return nil
	}
	found, unasked, err := drift(ctx, s, had)
	if err != nil {
		var diags diag.Diagnostics
		diagnose.Error(&diags, cannotRead, err)
		return diags
	}
	list, diags := types.ListValueFrom(ctx, types.StringType, append([]string{}, found...))
	m.Drift = list
	if unasked != nil {
		diags.AddWarning("Redis Hosts Unreachable", "What was changed by hand on these hosts is not known, and an apply has to reach them.\n\n"+diagnose.Detail(unasked))
	}
	return diags
}

// Update implements resource.Resource.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state, config model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	timeout, diags := plan.Timeouts.Update(ctx, applyTimeout)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(plan.locate(ctx, r.fleet, config, true)...)
	want, diags := plan.desired(ctx)
	resp.Diagnostics.Append(diags...)
	had, diags := state.desired(ctx)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(plan.derive(ctx)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if !plan.Status.IsUnknown() { // Nothing that concerns a host has changed.
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
		return
	}
	work, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	session := r.session(ctx, plan, &resp.Diagnostics)
	defer closing(session, &resp.Diagnostics)

	o := order{want: want, adopt: state.foreign(ctx, req.Private), former: former(had.Processes, want.Processes), staying: staying(had.Processes, want.Processes), create: !state.Formed.ValueBool()}
	var err error
	var out outcome
	if o.password, err = choosePassword(work, session, plan, state, config, o.create, had); err == nil {
		out, err = converge(work, session, o)
	}
	tell(&resp.Diagnostics, out)
	if err != nil {
		diagnose.Error(&resp.Diagnostics, cannotUpdate, err)
		if out.begun {
			resp.Diagnostics.Append(state.keepBoth(ctx, plan)...)
			resp.Diagnostics.Append(state.observed(ctx, aftermath(ctx, session, had.Connection, err))...)
			resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
		}
		return
	}
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, foreignKey, []byte("false"))...)
	plan.Formed = types.BoolValue(true)
	resp.Diagnostics.Append(plan.observed(ctx, out.status)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// choosePassword decides what the hosts are told of the password. Unless its
// version changed they keep theirs, and those that have none yet, new or
// recreated, are given the same one: what stands in the configuration now may be
// another.
func choosePassword(ctx context.Context, s *fleet.Session, plan, state, config model, create bool, had desired) (password, error) {
	if create || !plan.PasswordWOVersion.Equal(state.PasswordWOVersion) {
		return password{value: secret(config)}, nil
	}
	p := password{keep: true}
	if plan.PasswordWOVersion.IsNull() {
		return p, nil
	}
	// The first host that answers will do: all have the same.
	var errs []error
	for _, g := range had.Groups() {
		host, err := s.Host(ctx, g.Machine)
		if err == nil {
			var auth spec.Auth
			ref := spec.ConfRef{Place: had.Place, Port: g.Nodes[0].Port}
			if auth, err = fleet.Call[spec.Auth](ctx, host, "host credentials", spec.HostCredentials{Versioned: spec.V(), ConfRef: ref}); err == nil {
				p.value = auth.Password
				return p, nil
			}
		}
		errs = append(errs, err)
	}
	return p, errors.Join(errs...)
}

// keepBoth puts the nodes of plan into m too: after an update that did not
// come to its end there may be processes of either.
func (m *model) keepBoth(ctx context.Context, plan model) diag.Diagnostics {
	nodes := maps.Clone(plan.Nodes.Elements())
	maps.Copy(nodes, m.Nodes.Elements())
	both, diags := types.MapValue(m.Nodes.ElementType(ctx), nodes)
	m.Nodes = both
	diags.Append(m.derive(ctx)...)
	return diags
}

// Delete implements resource.Resource.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state model
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	timeout, diags := state.Timeouts.Delete(ctx, deleteTimeout)
	resp.Diagnostics.Append(diags...)
	had, diags := state.desired(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	session := r.session(ctx, state, &resp.Diagnostics)
	defer closing(session, &resp.Diagnostics)

	if state.DeletionProtection.ValueBool() {
		if err := mayRemove(ctx, session, had, state.Formed.ValueBool()); err != nil {
			diagnose.Error(&resp.Diagnostics, cannotDelete, err)
			return
		}
	}
	diagnose.Error(&resp.Diagnostics, cannotDelete, advise(dismantle(ctx, session, had.Connection),
		"Apply again once the host answers. If it is gone for good, take its nodes out of nodes and apply before the destroy, or drop the cluster from the state with `terraform state rm`."))
}

// mayRemove says whether a protected cluster may go: only one that never came
// to be, and that holds nothing.
func mayRemove(ctx context.Context, s *fleet.Session, had desired, formed bool) error {
	protected := &spec.Failure{
		Step: "check deletion_protection", Cause: fmt.Sprintf("%s is protected against deletion", had.Cluster),
		Advice: "A destroy would delete all its data. If that is meant, set deletion_protection = false, apply, and destroy then.",
	}
	if formed {
		return protected
	}
	status, err := observe(ctx, s, had.Connection)
	if errors.Is(err, errGone) {
		return nil
	}
	for _, n := range status.Nodes {
		if n.Keys > 0 {
			protected.Cause = fmt.Sprintf("%s holds %d keys, and the cluster is protected against deletion", n.Name, n.Keys)
			protected.Advice = "The creation of the cluster came to no end, and Terraform wants to replace it. To keep the data, run `terraform untaint` on the resource and apply again. " + protected.Advice
			return protected
		}
	}
	return err
}

// advise adds advice to every unreachable host in err.
func advise(err error, advice string) error {
	errs := diagnose.Each(err)
	for i, e := range errs {
		errs[i] = adviseOne(e, advice)
	}
	return errors.Join(errs...)
}

// observed takes over what the cluster said of itself.
func (m *model) observed(ctx context.Context, s spec.ClusterStatus) diag.Diagnostics {
	t, diags := topology(ctx, s)
	m.topologyModel = t
	return diags
}

// secret is the password of the configuration: only there is it.
func secret(config model) spec.Secret { return spec.Secret(config.PasswordWO.ValueString()) }

// tell shows what an apply has to say beyond its result.
func tell(diags *diag.Diagnostics, out outcome) {
	if len(out.warnings) > 0 {
		diags.AddWarning("Redis Cluster Hosts", strings.Join(out.warnings, "\n"))
	}
}

// session begins an operation on the hosts of m.
func (r *Resource) session(ctx context.Context, m model, diags *diag.Diagnostics) *fleet.Session {
	f, more := login.Fleet(ctx, r.fleet, m.SSH)
	diags.Append(more...)
	return f.Session()
}

func closing(s *fleet.Session, diags *diag.Diagnostics) {
	if err := s.Close(); err != nil {
		diags.AddWarning("Connection Not Closed", err.Error())
	}
}

// nodesOf gives the nodes of m as far as they are known.
func nodesOf(ctx context.Context, nodes types.Map) (map[string]nodeModel, diag.Diagnostics) {
	var diags diag.Diagnostics
	known := make(map[string]nodeModel)
	for name, v := range nodes.Elements() {
		object, ok := v.(types.Object)
		if !ok || unsettled(object) {
			return nil, diags // How many processes it stands for cannot be said.
		}
		var n nodeModel
		diags.Append(object.As(ctx, &n, basetypes.ObjectAsOptions{})...)
		known[name] = n
	}
	return known, diags
}
