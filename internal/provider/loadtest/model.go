package loadtest

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/duration"
)

// model is the resource in Terraform's types.
type model struct {
	Cluster    types.Object `tfsdk:"cluster"`
	Runners    types.Map    `tfsdk:"runners"`
	Workload   types.Object `tfsdk:"workload"`
	Verify     types.Bool   `tfsdk:"verify"`
	Faults     types.List   `tfsdk:"faults"`
	Objectives types.Object `tfsdk:"objectives"`
	OnBreach   types.String `tfsdk:"on_breach"`
	Triggers   types.Map    `tfsdk:"triggers"`
	ReportDir  types.String `tfsdk:"report_dir"`

	ID         types.String `tfsdk:"id"`
	ReportHTML types.String `tfsdk:"report_html"`
	Passed     types.Bool   `tfsdk:"passed"`
	Breaches   types.List   `tfsdk:"breaches"`
	resultModel
}

// resultModel is what a run came to, in Terraform's types.
type resultModel struct {
	StartedAt           types.String  `tfsdk:"started_at"`
	ElapsedSeconds      types.Float64 `tfsdk:"elapsed_seconds"`
	Operations          types.Int64   `tfsdk:"operations"`
	Throughput          types.Float64 `tfsdk:"throughput_ops_per_second"`
	ThroughputMB        types.Float64 `tfsdk:"throughput_mb_per_second"`
	Latency             types.Object  `tfsdk:"latency_ms"`
	ByCommand           types.List    `tfsdk:"by_command"`
	Errors              types.Map     `tfsdk:"errors"`
	FailedOperations    types.Int64   `tfsdk:"failed_operations"`
	Timeline            types.List    `tfsdk:"timeline"`
	FaultResults        types.List    `tfsdk:"fault_results"`
	UnavailableMS       types.Float64 `tfsdk:"unavailable_ms"`
	LostWrites          types.Int64   `tfsdk:"lost_writes"`
	StaleWrites         types.Int64   `tfsdk:"stale_writes"`
	CorruptWrites       types.Int64   `tfsdk:"corrupt_writes"`
	VerifiedWrites      types.Int64   `tfsdk:"verified_writes"`
	IndeterminateWrites types.Int64   `tfsdk:"indeterminate_writes"`
	Generator           types.Object  `tfsdk:"generator"`
	Histogram           types.String  `tfsdk:"histogram"`
}

// The nested inputs. They are read only when all of them is known, so that Go's
// own types do: a nil pointer is null.

type workloadModel struct {
	Duration       types.String       `tfsdk:"duration"`
	Requests       int64              `tfsdk:"requests"`
	Warmup         types.String       `tfsdk:"warmup"`
	Clients        int                `tfsdk:"clients"`
	Pipeline       int                `tfsdk:"pipeline"`
	Threads        int                `tfsdk:"threads"`
	Rate           float64            `tfsdk:"rate"`
	Arrival        string             `tfsdk:"arrival"`
	Operations     map[string]float64 `tfsdk:"operations"`
	Sequence       string             `tfsdk:"sequence"`
	DataSize       int                `tfsdk:"data_size"`
	Expiry         types.String       `tfsdk:"expiry"`
	ReadFrom       string             `tfsdk:"read_from"`
	Seed           int64              `tfsdk:"seed"`
	RequestTimeout types.String       `tfsdk:"request_timeout"`
	Commands       []commandModel     `tfsdk:"commands"`
	Keys           *keysModel         `tfsdk:"keys"`
	DataSizes      []dataSizeModel    `tfsdk:"data_sizes"`
	Stages         []stageModel       `tfsdk:"stages"`
	Trace          *traceModel        `tfsdk:"trace"`
}

type commandModel struct {
	Command string   `tfsdk:"command"`
	Weight  *float64 `tfsdk:"weight"`
}

type keysModel struct {
	Prefix       string  `tfsdk:"prefix"`
	Minimum      int64   `tfsdk:"minimum"`
	Maximum      int64   `tfsdk:"maximum"`
	Length       int     `tfsdk:"length"`
	Pattern      string  `tfsdk:"pattern"`
	ZipfExponent float64 `tfsdk:"zipf_exponent"`
	ClientUUID   bool    `tfsdk:"client_uuid"`
}

type dataSizeModel struct {
	Minimum int      `tfsdk:"minimum"`
	Maximum int      `tfsdk:"maximum"`
	Weight  *float64 `tfsdk:"weight"`
}

type stageModel struct {
	Name     string       `tfsdk:"name"`
	Duration types.String `tfsdk:"duration"`
	Rate     float64      `tfsdk:"rate"`
	Ramp     bool         `tfsdk:"ramp"`
	DataSize int          `tfsdk:"data_size"`
}

type traceModel struct {
	Path   string  `tfsdk:"path"`
	Format string  `tfsdk:"format"`
	Speed  float64 `tfsdk:"speed"`
	Loop   bool    `tfsdk:"loop"`
}

type faultModel struct {
	At           types.String `tfsdk:"at"`
	Kind         string       `tfsdk:"kind"`
	Target       string       `tfsdk:"target"`
	RecoverAfter types.String `tfsdk:"recover_after"`
}

type runnerModel struct {
	Address   string `tfsdk:"address"`
	Transport string `tfsdk:"transport"`
	SSHHost   string `tfsdk:"ssh_host"`
	HostKey   string `tfsdk:"host_key"`
	Instance  string `tfsdk:"instance"`
}

type objectivesModel struct {
	P99MS         *float64 `tfsdk:"p99_ms"`
	ThroughputOPS *float64 `tfsdk:"throughput_ops_per_second"`
	ErrorRatio    *float64 `tfsdk:"error_ratio"`
	UnavailableMS *float64 `tfsdk:"unavailable_ms"`
	LostWrites    *int64   `tfsdk:"lost_writes"`
}

// emptyAsZero reads null as Go's zero value, which is what the spec takes for "not set".
var emptyAsZero = basetypes.ObjectAsOptions{UnhandledNullAsEmpty: true}

func weight(w *float64) float64 {
	if w == nil {
		return 1
	}
	return *w
}

// workload gives the workload in the words of the spec; all of it is known.
func (m model) workload(ctx context.Context) (spec.Workload, diag.Diagnostics) {
	var in workloadModel
	diags := m.Workload.As(ctx, &in, emptyAsZero)
	w := spec.Workload{
		Duration: duration.Of(in.Duration), Requests: in.Requests, Warmup: duration.Of(in.Warmup),
		Clients: in.Clients, Pipeline: in.Pipeline, Threads: in.Threads, Rate: in.Rate, Arrival: in.Arrival,
		Operations: in.Operations, Sequence: in.Sequence, DataSize: in.DataSize, Expiry: duration.Of(in.Expiry),
		ReadFrom: in.ReadFrom, Seed: uint64(max(0, in.Seed)), RequestTimeout: duration.Of(in.RequestTimeout),
	}
	if k := in.Keys; k != nil {
		w.Keys = spec.Keys(*k)
	}
	for _, c := range in.Commands {
		w.Commands = append(w.Commands, spec.Command{Command: c.Command, Weight: weight(c.Weight)})
	}
	for _, d := range in.DataSizes {
		w.DataSizes = append(w.DataSizes, spec.DataSize{Minimum: d.Minimum, Maximum: d.Maximum, Weight: weight(d.Weight)})
	}
	for _, s := range in.Stages {
		w.Stages = append(w.Stages, spec.Stage{Name: s.Name, Duration: duration.Of(s.Duration), Rate: s.Rate, Ramp: s.Ramp, DataSize: s.DataSize})
	}
	if t := in.Trace; t != nil {
		w.Trace = &spec.Trace{Path: t.Path, Format: t.Format, Speed: t.Speed, Loop: t.Loop}
	}
	return w, diags
}

// faults gives the faults in the words of the spec; all of them are known.
func (m model) faults(ctx context.Context) ([]spec.Fault, diag.Diagnostics) {
	var in []faultModel
	diags := m.Faults.ElementsAs(ctx, &in, true)
	var faults []spec.Fault
	for _, f := range in {
		faults = append(faults, spec.Fault{At: duration.Of(f.At), Kind: spec.FaultKind(f.Kind), Target: f.Target, RecoverAfter: duration.Of(f.RecoverAfter)})
	}
	return faults, diags
}

// objectives gives the objectives in the words of the spec; all of them are known.
func (m model) objectives(ctx context.Context) (spec.Objectives, diag.Diagnostics) {
	if m.Objectives.IsNull() {
		return spec.Objectives{}, nil
	}
	var in objectivesModel
	diags := m.Objectives.As(ctx, &in, emptyAsZero)
	return spec.Objectives(in), diags
}

// cluster gives the connection; all of it is known.
func (m model) cluster(ctx context.Context) (connection.Connection, diag.Diagnostics) {
	var c connection.Model
	diags := m.Cluster.As(ctx, &c, basetypes.ObjectAsOptions{})
	return c.Connection(), diags
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
		"hosts": types.ListType{ElemType: types.StringType},
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

type generatorModel struct {
	CPU            float64  `tfsdk:"cpu"`
	Saturated      bool     `tfsdk:"saturated"`
	ScheduleSlipMS float64  `tfsdk:"schedule_slip_ms"`
	Unsent         int64    `tfsdk:"unsent"`
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
	commands := make([]commandResultModel, len(r.ByCommand))
	for i, c := range r.ByCommand {
		commands[i] = commandResultModel{c.Command, c.Operations, c.ThroughputOPS, c.Errors, c.Misses, latency(c.Latency)}
	}
	timeline := make([]intervalModel, len(r.Timeline))
	for i, t := range r.Timeline {
		timeline[i] = intervalModel{t.Second, t.Operations, t.Errors, t.P50, t.P99, t.Max}
	}
	faults := make([]faultResultModel, len(r.Faults))
	for i, f := range r.Faults {
		faults[i] = faultResultModel{
			string(f.Kind), f.Target, f.Node, f.AtSeconds, f.RecoveredAtSeconds, f.DetectedMS, optional(f.Promoted), f.PromotedMS,
			f.UnavailableMS, optional(f.RejoinedAs), f.RejoinedMS, optional(f.Error),
		}
	}
	errors := r.Errors
	if errors == nil {
		errors = map[string]int64{}
	}
	g := generatorModel{r.Generator.CPU, r.Generator.Saturated, r.Generator.ScheduleSlipMS, r.Generator.Unsent, append([]string{}, r.Generator.Hosts...)}

	var diags, more diag.Diagnostics
	m.Latency, diags = types.ObjectValueFrom(ctx, latencyTypes(), latency(r.Latency))
	m.ByCommand, more = types.ListValueFrom(ctx, types.ObjectType{AttrTypes: commandTypes()}, commands)
	diags.Append(more...)
	m.Errors, more = types.MapValueFrom(ctx, types.Int64Type, errors)
	diags.Append(more...)
	m.Timeline, more = types.ListValueFrom(ctx, types.ObjectType{AttrTypes: intervalTypes()}, timeline)
	diags.Append(more...)
	m.FaultResults, more = types.ListValueFrom(ctx, types.ObjectType{AttrTypes: faultResultTypes()}, faults)
	diags.Append(more...)
	m.Generator, more = types.ObjectValueFrom(ctx, generatorTypes(), g)
	diags.Append(more...)
	return m, diags
}
