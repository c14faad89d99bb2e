package loadtest

import (
	"context"

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
	Baseline   types.String `tfsdk:"baseline"`
	SSH        types.Object `tfsdk:"ssh"`

	ID         types.String `tfsdk:"id"`
	ReportHTML types.String `tfsdk:"report_html"`
	Passed     types.Bool   `tfsdk:"passed"`
	Breaches   types.List   `tfsdk:"breaches"`
	resultModel
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
