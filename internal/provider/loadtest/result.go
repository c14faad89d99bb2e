package loadtest

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// resultModel is what a run came to, in Terraform's types.
type resultModel struct {
	StartedAt           types.String  `tfsdk:"started_at"`
	ElapsedSeconds      types.Float64 `tfsdk:"elapsed_seconds"`
	Operations          types.Int64   `tfsdk:"operations"`
	Throughput          types.Float64 `tfsdk:"throughput_ops_per_second"`
	ThroughputMB        types.Float64 `tfsdk:"throughput_mb_per_second"`
	Latency             types.Object  `tfsdk:"latency_ms"`
	ServiceTime         types.Object  `tfsdk:"service_time_ms"`
	ByCommand           types.List    `tfsdk:"by_command"`
	Errors              types.Map     `tfsdk:"errors"`
	FailedOperations    types.Int64   `tfsdk:"failed_operations"`
	Timeline            types.List    `tfsdk:"timeline"`
	FaultResults        types.List    `tfsdk:"fault_results"`
	StageResults        types.List    `tfsdk:"stage_results"`
	UnavailableMS       types.Float64 `tfsdk:"unavailable_ms"`
	Outages             types.List    `tfsdk:"outages"`
	LostWrites          types.Int64   `tfsdk:"lost_writes"`
	LostKeys            types.List    `tfsdk:"lost_keys"`
	StaleWrites         types.Int64   `tfsdk:"stale_writes"`
	CorruptWrites       types.Int64   `tfsdk:"corrupt_writes"`
	VerifiedWrites      types.Int64   `tfsdk:"verified_writes"`
	IndeterminateWrites types.Int64   `tfsdk:"indeterminate_writes"`
	Generator           types.Object  `tfsdk:"generator"`
	RunnerResults       types.List    `tfsdk:"runner_results"`
	Warnings            types.List    `tfsdk:"warnings"`
	Histogram           types.String  `tfsdk:"histogram"`
}

func latencyTypes() map[string]attr.Type {
	t := make(map[string]attr.Type)
	for _, name := range []string{"mean", "p50", "p90", "p95", "p99", "p99_9", "max"} {
		t[name] = types.Float64Type
	}
	return t
}

func commandTypes() map[string]attr.Type {
	return map[string]attr.Type{
		"command": types.StringType, "operations": types.Int64Type, "throughput_ops_per_second": types.Float64Type,
		"errors": types.Int64Type, "misses": types.Int64Type, "latency_ms": types.ObjectType{AttrTypes: latencyTypes()},
	}
}

func intervalTypes() map[string]attr.Type {
	return map[string]attr.Type{
		"second": types.Float64Type, "operations": types.Int64Type, "errors": types.Int64Type,
		"p50": types.Float64Type, "p99": types.Float64Type, "max": types.Float64Type,
	}
}

func faultResultTypes() map[string]attr.Type {
	return map[string]attr.Type{
		"kind": types.StringType, "target": types.StringType, "node": types.StringType,
		"at_seconds": types.Float64Type, "recovered_at_seconds": types.Float64Type,
		"detected_ms": types.Float64Type, "promoted": types.StringType, "promoted_ms": types.Float64Type,
		"unavailable_ms": types.Float64Type, "rejoined_as": types.StringType, "rejoined_ms": types.Float64Type, "error": types.StringType,
	}
}

func generatorTypes() map[string]attr.Type {
	return map[string]attr.Type{
		"cpu": types.Float64Type, "saturated": types.BoolType, "schedule_slip_ms": types.Float64Type, "unsent": types.Int64Type,
		"io": types.StringType, "hosts": types.ListType{ElemType: types.StringType},
	}
}

func stageTypes() map[string]attr.Type {
	return map[string]attr.Type{
		"name": types.StringType, "at_seconds": types.Float64Type, "elapsed_seconds": types.Float64Type,
		"operations": types.Int64Type, "throughput_ops_per_second": types.Float64Type,
		"latency_ms": types.ObjectType{AttrTypes: latencyTypes()},
		"by_command": types.ListType{ElemType: types.ObjectType{AttrTypes: commandTypes()}},
	}
}

func outageTypes() map[string]attr.Type {
	return map[string]attr.Type{"shard": types.Int64Type, "access": types.StringType, "at_seconds": types.Float64Type, "duration_ms": types.Float64Type}
}

func runnerTypes() map[string]attr.Type {
	return map[string]attr.Type{
		"name": types.StringType, "share": types.Float64Type, "operations": types.Int64Type, "throughput_ops_per_second": types.Float64Type,
		"cpu": types.Float64Type, "saturated": types.BoolType, "lost_at_seconds": types.Float64Type, "error": types.StringType,
	}
}

type latencyModel struct {
	Mean float64 `tfsdk:"mean"`
	P50  float64 `tfsdk:"p50"`
	P90  float64 `tfsdk:"p90"`
	P95  float64 `tfsdk:"p95"`
	P99  float64 `tfsdk:"p99"`
	P999 float64 `tfsdk:"p99_9"`
	Max  float64 `tfsdk:"max"`
}

func latency(l spec.Latency) latencyModel {
	return latencyModel{Mean: l.Mean, P50: l.P50, P90: l.P90, P95: l.P95, P99: l.P99, P999: l.P999, Max: l.Max}
}

type commandResultModel struct {
	Command    string       `tfsdk:"command"`
	Operations int64        `tfsdk:"operations"`
	Throughput float64      `tfsdk:"throughput_ops_per_second"`
	Errors     int64        `tfsdk:"errors"`
	Misses     int64        `tfsdk:"misses"`
	Latency    latencyModel `tfsdk:"latency_ms"`
}

type intervalModel struct {
	Second     float64 `tfsdk:"second"`
	Operations int64   `tfsdk:"operations"`
	Errors     int64   `tfsdk:"errors"`
	P50        float64 `tfsdk:"p50"`
	P99        float64 `tfsdk:"p99"`
	Max        float64 `tfsdk:"max"`
}

type faultResultModel struct {
	Kind               string       `tfsdk:"kind"`
	Target             string       `tfsdk:"target"`
	Node               string       `tfsdk:"node"`
	AtSeconds          float64      `tfsdk:"at_seconds"`
	RecoveredAtSeconds *float64     `tfsdk:"recovered_at_seconds"`
	DetectedMS         *float64     `tfsdk:"detected_ms"`
	Promoted           types.String `tfsdk:"promoted"`
	PromotedMS         *float64     `tfsdk:"promoted_ms"`
	UnavailableMS      float64      `tfsdk:"unavailable_ms"`
	RejoinedAs         types.String `tfsdk:"rejoined_as"`
	RejoinedMS         *float64     `tfsdk:"rejoined_ms"`
	Error              types.String `tfsdk:"error"`
}

type stageResultModel struct {
	Name           string               `tfsdk:"name"`
	AtSeconds      float64              `tfsdk:"at_seconds"`
	ElapsedSeconds float64              `tfsdk:"elapsed_seconds"`
	Operations     int64                `tfsdk:"operations"`
	Throughput     float64              `tfsdk:"throughput_ops_per_second"`
	Latency        latencyModel         `tfsdk:"latency_ms"`
	ByCommand      []commandResultModel `tfsdk:"by_command"`
}

type outageModel struct {
	Shard      int64   `tfsdk:"shard"`
	Access     string  `tfsdk:"access"`
	AtSeconds  float64 `tfsdk:"at_seconds"`
	DurationMS float64 `tfsdk:"duration_ms"`
}

type runnerResultModel struct {
	Name          string       `tfsdk:"name"`
	Share         float64      `tfsdk:"share"`
	Operations    int64        `tfsdk:"operations"`
	Throughput    float64      `tfsdk:"throughput_ops_per_second"`
	CPU           float64      `tfsdk:"cpu"`
	Saturated     bool         `tfsdk:"saturated"`
	LostAtSeconds *float64     `tfsdk:"lost_at_seconds"`
	Error         types.String `tfsdk:"error"`
}

type generatorModel struct {
	CPU            float64  `tfsdk:"cpu"`
	Saturated      bool     `tfsdk:"saturated"`
	ScheduleSlipMS float64  `tfsdk:"schedule_slip_ms"`
	Unsent         int64    `tfsdk:"unsent"`
	IO             string   `tfsdk:"io"`
	Hosts          []string `tfsdk:"hosts"`
}

// optional gives null for what did not happen.
func optional(s string) types.String {
	if s == "" {
		return types.StringNull()
	}
	return types.StringValue(s)
}

// result gives what a run came to in Terraform's types.
func result(ctx context.Context, r spec.LoadResult) (resultModel, diag.Diagnostics) {
	m := resultModel{
		StartedAt:      types.StringValue(r.StartedAt.UTC().Format(time.RFC3339Nano)),
		ElapsedSeconds: types.Float64Value(r.ElapsedSeconds), Operations: types.Int64Value(r.Operations),
		Throughput: types.Float64Value(r.ThroughputOPS), ThroughputMB: types.Float64Value(r.ThroughputMBPerSecond),
		FailedOperations: types.Int64Value(r.FailedOperations), UnavailableMS: types.Float64Value(r.UnavailableMS),
		LostWrites: types.Int64Value(r.LostWrites), StaleWrites: types.Int64Value(r.StaleWrites), CorruptWrites: types.Int64Value(r.CorruptWrites),
		VerifiedWrites: types.Int64Value(r.VerifiedWrites), IndeterminateWrites: types.Int64Value(r.IndeterminateWrites),
		Histogram: types.StringValue(r.Histogram),
	}
	errors := r.Errors
	if errors == nil {
		errors = map[string]int64{}
	}
	g := generatorModel{r.Generator.CPU, r.Generator.Saturated, r.Generator.ScheduleSlipMS, r.Generator.Unsent, r.Generator.IO, append([]string{}, r.Generator.Hosts...)}

	var diags diag.Diagnostics
	keep := func(more diag.Diagnostics) { diags.Append(more...) }
	m.Latency = object(ctx, latencyTypes(), latency(r.Latency), keep)
	m.ServiceTime = object(ctx, latencyTypes(), latency(r.ServiceTime), keep)
	m.ByCommand = list(ctx, commandTypes(), commands(r.ByCommand), keep)
	m.Timeline = list(ctx, intervalTypes(), timeline(r.Timeline), keep)
	m.FaultResults = list(ctx, faultResultTypes(), faultResults(r.Faults), keep)
	m.StageResults = list(ctx, stageTypes(), stageResults(r.Stages), keep)
	m.Outages = list(ctx, outageTypes(), outages(r.Outages), keep)
	m.RunnerResults = list(ctx, runnerTypes(), runnerResults(r.Runners), keep)
	m.Generator = object(ctx, generatorTypes(), g, keep)
	var more diag.Diagnostics
	m.Errors, more = types.MapValueFrom(ctx, types.Int64Type, errors)
	keep(more)
	m.LostKeys, more = types.ListValueFrom(ctx, types.StringType, append([]string{}, r.LostKeys...))
	keep(more)
	m.Warnings, more = types.ListValueFrom(ctx, types.StringType, append([]string{}, r.Warnings...))
	keep(more)
	return m, diags
}

func object(ctx context.Context, attributes map[string]attr.Type, value any, keep func(diag.Diagnostics)) types.Object {
	o, diags := types.ObjectValueFrom(ctx, attributes, value)
	keep(diags)
	return o
}

func list[T any](ctx context.Context, attributes map[string]attr.Type, values []T, keep func(diag.Diagnostics)) types.List {
	l, diags := types.ListValueFrom(ctx, types.ObjectType{AttrTypes: attributes}, values)
	keep(diags)
	return l
}

func commands(list []spec.CommandResult) []commandResultModel {
	out := make([]commandResultModel, len(list))
	for i, c := range list {
		out[i] = commandResultModel{c.Command, c.Operations, c.ThroughputOPS, c.Errors, c.Misses, latency(c.Latency)}
	}
	return out
}

func timeline(list []spec.Interval) []intervalModel {
	out := make([]intervalModel, len(list))
	for i, t := range list {
		out[i] = intervalModel{t.Second, t.Operations, t.Errors, t.P50, t.P99, t.Max}
	}
	return out
}

func faultResults(list []spec.FaultResult) []faultResultModel {
	out := make([]faultResultModel, len(list))
	for i, f := range list {
		out[i] = faultResultModel{
			string(f.Kind), f.Target, f.Node, f.AtSeconds, f.RecoveredAtSeconds, f.DetectedMS, optional(f.Promoted), f.PromotedMS,
			f.UnavailableMS, optional(f.RejoinedAs), f.RejoinedMS, optional(f.Error),
		}
	}
	return out
}

func stageResults(list []spec.StageResult) []stageResultModel {
	out := make([]stageResultModel, len(list))
	for i, s := range list {
		out[i] = stageResultModel{s.Name, s.AtSeconds, s.ElapsedSeconds, s.Operations, s.ThroughputOPS, latency(s.Latency), commands(s.ByCommand)}
	}
	return out
}

func outages(list []spec.Outage) []outageModel {
	out := make([]outageModel, len(list))
	for i, o := range list {
		out[i] = outageModel{int64(o.Shard), o.Access, o.AtSeconds, o.DurationMS}
	}
	return out
}

func runnerResults(list []spec.RunnerResult) []runnerResultModel {
	out := make([]runnerResultModel, len(list))
	for i, r := range list {
		out[i] = runnerResultModel{r.Name, r.Share, r.Operations, r.ThroughputOPS, r.CPU, r.Saturated, r.LostAtSeconds, optional(r.Error)}
	}
	return out
}
