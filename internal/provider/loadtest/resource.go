// Package loadtest is the resource redis_loadtest: a load test runs when it is
// created, and its results are its attributes.
package loadtest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/diagnose"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/known"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/login"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

const (
	cannotRun    = "Unable to Run Redis Load Test"
	breached     = "Redis Load Test Breached Its Objectives"
	cannotReport = "Unable to Write Load Test Report"
)

// Resource is redis_loadtest.
type Resource struct{ fleet *fleet.Fleet }

// NewResource makes a redis_loadtest.
func NewResource() resource.Resource { return &Resource{} }

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
)

// Metadata implements resource.Resource.
func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_loadtest"
}

// Schema implements resource.Resource.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = resourceSchema()
}

// Configure implements resource.ResourceWithConfigure.
func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if f, ok := req.ProviderData.(*fleet.Fleet); ok {
		r.fleet = f
	}
}

// ValidateConfig implements resource.ResourceWithValidateConfig.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var config model
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(config.check(ctx)...)
	}
}

// ModifyPlan implements resource.ResourceWithModifyPlan: what was unknown to
// ValidateConfig may be known by now.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var plan model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(plan.check(ctx)...)
	if plan.StartedAt.IsUnknown() { // it will run
		resp.Diagnostics.Append(plan.checkReportDir()...)
		_, diags := plan.readBaseline()
		resp.Diagnostics.Append(diags...)
	}
}

// Create implements resource.Resource: it runs the test.
func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	t, diags := plan.test(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	if t.baseline, diags = plan.readBaseline(); diags.HasError() {
		resp.Diagnostics.Append(diags...)
		return
	}
	if resp.Diagnostics.Append(plan.checkReportDir()...); resp.Diagnostics.HasError() {
		return
	}
	session := r.session(ctx, plan, &resp.Diagnostics)
	defer func() {
		if err := session.Close(); err != nil {
			resp.Diagnostics.AddWarning("Connection Not Closed", err.Error())
		}
	}()
	res, err := t.run(ctx, session)
	if ctx.Err() != nil {
		err = &spec.Failure{Cause: "the test was interrupted", Advice: "Its results were dropped. Apply again to run it anew."}
	}
	if err != nil {
		diagnose.Error(&resp.Diagnostics, cannotRun, err)
		return
	}
	plan.resultModel, diags = result(ctx, res)
	resp.Diagnostics.Append(diags...)
	plan.ID = types.StringValue(t.cluster.Cluster + "-" + res.StartedAt.UTC().Format("20060102-150405"))
	resp.Diagnostics.Append(plan.writeReport(res)...)
	if len(res.Warnings) > 0 {
		resp.Diagnostics.AddWarning("Load Test Figures Need Care", "- "+strings.Join(res.Warnings, "\n- "))
	}
	resp.Diagnostics.Append(plan.judge(ctx, t.objectives, res)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// judge sets whether the objectives were kept, and says so if they were not.
func (m *model) judge(ctx context.Context, o spec.Objectives, res spec.LoadResult) diag.Diagnostics {
	broken := append([]string{}, o.Breaches(res)...)
	breaches, diags := types.ListValueFrom(ctx, types.StringType, broken)
	m.Breaches, m.Passed = breaches, types.BoolValue(len(broken) == 0)
	if len(broken) == 0 {
		return diags
	}
	detail := "- " + strings.Join(broken, "\n- ")
	if m.OnBreach.ValueString() == onBreachWarn {
		diags.AddAttributeWarning(path.Root("objectives"), breached, detail)
		return diags
	}
	diags.AddAttributeError(path.Root("objectives"), breached, detail+
		"\n\nThe results are kept in the state. The next apply runs the test anew; to have a breach warn only, set on_breach = \"warn\".")
	return diags
}

// session begins an operation on the hosts of m.
func (r *Resource) session(ctx context.Context, m model, diags *diag.Diagnostics) *fleet.Session {
	f, more := login.Fleet(ctx, r.fleet, m.SSH)
	diags.Append(more...)
	return f.Session()
}

// Read implements resource.Resource: results do not change.
func (r *Resource) Read(context.Context, resource.ReadRequest, *resource.ReadResponse) {}

// Update implements resource.Resource: it judges the result anew, and moves the report.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	o, diags := plan.objectives(ctx)
	resp.Diagnostics.Append(diags...)
	res, diags := state.measured(ctx)
	resp.Diagnostics.Append(diags...)
	plan.ReportHTML = state.ReportHTML
	if !plan.ReportDir.Equal(state.ReportDir) {
		resp.Diagnostics.Append(plan.moveReport(state)...)
	}
	resp.Diagnostics.Append(plan.judge(ctx, o, res)...)
	if !resp.Diagnostics.HasError() {
		// After a breach the old objectives stay in the state, so that the next plan shows the new ones again.
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

// Delete implements resource.Resource. The results go with the state; a report
// that was written stays. Runners of their own are left as they were found; one
// that is gone by now needs no cleaning.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state model
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	t, diags := state.test(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() || state.Runners.IsNull() {
		return
	}
	session := r.session(ctx, state, &resp.Diagnostics)
	_, err := fleet.Each(ctx, session, t.runners, func(ctx context.Context, h *fleet.Host) (struct{}, error) {
		return struct{}{}, h.Leave(ctx)
	})
	for _, e := range diagnose.Each(errors.Join(err, session.Close())) {
		if !errors.As(e, new(*reach.UnreachableError)) {
			resp.Diagnostics.AddWarning("Runner Not Cleaned", diagnose.Detail(e))
		}
	}
}

// test gives the test that m is, all of which is known.
func (m model) test(ctx context.Context) (test, diag.Diagnostics) {
	t := test{verify: m.Verify.ValueBool(), report: !m.ReportDir.IsNull()}
	var diags, more diag.Diagnostics
	t.cluster, diags = m.cluster(ctx)
	t.workload, more = m.workload(ctx)
	diags.Append(more...)
	t.faults, more = m.faults(ctx)
	diags.Append(more...)
	t.objectives, more = m.objectives(ctx)
	diags.Append(more...)
	runners, more := m.runners(ctx)
	diags.Append(more...)
	t.runners = machines(t.cluster, runners)
	return t, diags
}

// measured gives the part of the result that objectives are about.
func (m model) measured(ctx context.Context) (spec.LoadResult, diag.Diagnostics) {
	res := spec.LoadResult{
		ThroughputOPS: m.Throughput.ValueFloat64(), Operations: m.Operations.ValueInt64(),
		UnavailableMS: m.UnavailableMS.ValueFloat64(), LostWrites: m.LostWrites.ValueInt64(),
	}
	var l latencyModel
	diags := m.Latency.As(ctx, &l, emptyAsZero)
	res.Latency.P99 = l.P99
	diags.Append(m.Errors.ElementsAs(ctx, &res.Errors, false)...)
	return res, diags
}

// check finds what is wrong with m as far as it is known.
func (m model) check(ctx context.Context) diag.Diagnostics {
	var diags diag.Diagnostics
	var w spec.Workload
	workloadKnown := known.Wholly(m.Workload)
	if workloadKnown {
		var more diag.Diagnostics
		w, more = m.workload(ctx)
		diags.Append(more...)
		problems := w.Validate()
		if m.Verify.ValueBool() {
			problems = append(problems, w.ValidateVerify()...)
		}
		for _, p := range problems {
			diags.AddAttributeError(attributePath(p.Attribute), "Invalid Workload", fmt.Sprintf("%s %s.", p.Attribute, strings.TrimSuffix(p.Message, ".")))
		}
	}
	if known.Wholly(m.Faults) && !m.Faults.IsNull() {
		faults, more := m.faults(ctx)
		diags.Append(more...)
		diags.Append(m.checkFaults(ctx, faults, w)...)
	}
	if known.Wholly(m.Objectives) && !m.Objectives.IsNull() {
		o, more := m.objectives(ctx)
		diags.Append(more...)
		if o.LostWrites != nil && !m.Verify.IsUnknown() && !m.Verify.ValueBool() {
			diags.AddAttributeError(path.Root("objectives").AtName("lost_writes"), "Invalid Objective",
				"Lost writes are found by reading every write back, and verify is not set. Set verify = true, or remove lost_writes.")
		}
	}
	if known.Wholly(m.Runners) && !m.Runners.IsNull() {
		diags.Append(m.checkRunners(ctx)...)
	}
	return diags
}
