package loadtest

import (
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/float64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/float64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/duration"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/login"
)

// What a breached objective does.
const (
	onBreachFail = "fail"
	onBreachWarn = "warn"
)

var faultTarget = regexp.MustCompile(`^(primary(:\d+)?|replica:\d+|node:.+|zone:.+)$`)

func resourceSchema() schema.Schema {
	attributes := inputs()
	for name, attribute := range outputs() {
		attributes[name] = attribute
	}
	return schema.Schema{
		MarkdownDescription: "A load test of a Redis Cluster. It runs once, when it is created, and its results stay in the state; " +
			"any change of what is measured, or of `triggers`, runs it anew. Changes of `objectives`, `on_breach` and `report_dir` judge or store the same result again.",
		Attributes: attributes,
	}
}

func inputs() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"cluster": schema.ObjectAttribute{
			Required: true, AttributeTypes: connection.AttrTypes(),
			MarkdownDescription: "`connection_info` of the `redis_cluster`.",
			PlanModifiers:       []planmodifier.Object{objectplanmodifier.RequiresReplace()},
		},
		"runners": schema.MapNestedAttribute{
			Optional:            true,
			MarkdownDescription: "Hosts that send the load, by name; they start together, and their results are added up exactly. Their clocks should agree. Without it: the first node's host.",
			NestedObject:        schema.NestedAttributeObject{Attributes: runnerInputs()},
			Validators:          []validator.Map{mapvalidator.SizeAtLeast(1)},
			PlanModifiers:       []planmodifier.Map{mapplanmodifier.RequiresReplace()},
		},
		"workload": schema.SingleNestedAttribute{
			Required:            true,
			MarkdownDescription: "What is sent, in the words of memtier_benchmark and redis-benchmark.",
			Attributes:          workloadInputs(),
			PlanModifiers:       []planmodifier.Object{objectplanmodifier.RequiresReplace()},
		},
		"verify": schema.BoolAttribute{
			Optional: true, MarkdownDescription: "Reads every acknowledged SET back at the end, and counts the lost ones. Operations that write something else to the same keys, counters too, are refused with it. Defaults to `false`.",
			PlanModifiers: []planmodifier.Bool{boolplanmodifier.RequiresReplace()},
		},
		"faults": schema.ListNestedAttribute{
			Optional: true, MarkdownDescription: "What is broken while the load runs, and mended again.",
			NestedObject:  schema.NestedAttributeObject{Attributes: faultInputs()},
			Validators:    []validator.List{listvalidator.SizeAtLeast(1)},
			PlanModifiers: []planmodifier.List{listplanmodifier.RequiresReplace()},
		},
		"objectives": schema.SingleNestedAttribute{
			Optional: true, MarkdownDescription: "What the result has to keep to.",
			Attributes: map[string]schema.Attribute{
				"p99_ms":                    atLeastZero("Highest 99th percentile of the latency, in milliseconds."),
				"throughput_ops_per_second": atLeastZero("Lowest throughput, in commands per second."),
				"error_ratio":               schema.Float64Attribute{Optional: true, MarkdownDescription: "Highest share of errors, 0 to 1; redirections that were followed are none.", Validators: []validator.Float64{float64validator.Between(0, 1)}},
				"unavailable_ms":            atLeastZero("Longest time that a shard may not answer, in milliseconds."),
				"lost_writes":               schema.Int64Attribute{Optional: true, MarkdownDescription: "Most acknowledged writes that may be lost. Needs `verify`.", Validators: []validator.Int64{int64validator.AtLeast(0)}},
			},
		},
		"on_breach": schema.StringAttribute{
			Optional: true, Computed: true, Default: stringdefault.StaticString(onBreachFail),
			MarkdownDescription: "`fail`: a breached objective fails the apply. The results are kept in the state, and the next apply runs the test anew. `warn`: it only warns. Defaults to `fail`.",
			Validators:          []validator.String{stringvalidator.OneOf(onBreachFail, onBreachWarn)},
		},
		"triggers": schema.MapAttribute{
			ElementType: types.StringType, Optional: true,
			MarkdownDescription: "Any values; a change of them runs the test anew.",
			PlanModifiers:       []planmodifier.Map{mapplanmodifier.RequiresReplace()},
		},
		"ssh": login.Attribute("the runners, and to the cluster's hosts where they are asked or broken"),
		"report_dir": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "Directory on the machine that Terraform runs on to write the results into: the HTML report, the result as JSON (`.json`), and for other tools `.memtier.json` (in memtier_benchmark's shape), `.hlog` (an HdrHistogram log of every second) and `.hgrm` (a distribution for each command). Without it there are none.",
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"baseline": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "The `.json` of an earlier run in its `report_dir`, which the report compares this run with. A change of it shows in the next run's report.",
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
	}
}

func runnerInputs() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"address":   schema.StringAttribute{Optional: true, MarkdownDescription: "Address of the host."},
		"transport": schema.StringAttribute{Optional: true, MarkdownDescription: "`ssh` or `local`. Defaults to `ssh`.", Validators: []validator.String{stringvalidator.OneOf(connection.TransportSSH, connection.TransportLocal)}},
		"ssh_host":  schema.StringAttribute{Optional: true, MarkdownDescription: "Name or address to reach it at over SSH. Without it: `address`."},
		"host_key":  schema.StringAttribute{Optional: true, MarkdownDescription: "Its SSH host key."},
		"instance":  schema.StringAttribute{Optional: true, MarkdownDescription: "Self link of the Compute Engine instance that it is, whose guest attributes then tell its SSH host key."},
	}
}

func workloadInputs() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"duration":        length("How long to measure, such as `60s`. Either this or `requests`."),
		"requests":        whole("How many commands to send in all. Either this or `duration`."),
		"warmup":          length("Time before the measurement, which counts nowhere."),
		"clients":         whole("Number of clients, each with one command (or pipeline) under way. Defaults to 50."),
		"pipeline":        whole("Commands that a client sends at once. Defaults to 1."),
		"threads":         whole("Event loops of a runner. Without it: as many as it has cores."),
		"rate":            atLeastZero("Commands per second of the whole test (open loop; latency counts from when a command was due). Without it: as fast as the clients go."),
		"arrival":         word("With `rate`: `constant` or `poisson`. Defaults to `constant`.", spec.ArrivalConstant, spec.ArrivalPoisson),
		"operations":      schema.MapAttribute{ElementType: types.Float64Type, Optional: true, MarkdownDescription: "Weights of commands, such as `{ set = 1, get = 10 }`. Defaults to SET and GET, 1:1."},
		"sequence":        word("`random` draws each operation; `cycle` has a client go through them in order (SET then GET of the same key). Defaults to `random`.", spec.SequenceRandom, spec.SequenceCycle),
		"data_size":       whole("Size of a value in bytes. Defaults to 32."),
		"expiry":          length("Time to live of what SET writes. Without it: none."),
		"read_from":       word("`primary` or `replica`. Defaults to `primary`.", spec.FromPrimary, spec.FromReplica),
		"seed":            whole("Makes keys, values and arrivals repeatable. Without it: drawn."),
		"request_timeout": length("How long a connection may owe a reply before it is given up and its commands are sent anew. Defaults to `1s`."),
		"commands": schema.ListNestedAttribute{
			Optional: true, MarkdownDescription: "Any commands, with `__key__` and `__data__` in them.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"command": schema.StringAttribute{Required: true, MarkdownDescription: "The line, as in redis-cli: `HSET __key__ field __data__`."},
				"weight":  schema.Float64Attribute{Optional: true, MarkdownDescription: "Defaults to 1."},
			}},
		},
		"keys": schema.SingleNestedAttribute{
			Optional: true, MarkdownDescription: "Which keys are used. Without it: `key:0` to `key:10000000`, uniform.",
			Attributes: map[string]schema.Attribute{
				"prefix":        schema.StringAttribute{Optional: true, MarkdownDescription: "What keys begin with. Defaults to `key:`, or nothing with `length`."},
				"minimum":       whole("Lowest number after the prefix."),
				"maximum":       whole("Highest number after the prefix."),
				"length":        whole("Instead of numbers: that many random letters and digits."),
				"pattern":       word("`uniform`, `sequential`, `gaussian`, `zipfian` or `unique` (never the same twice). Defaults to `uniform`.", spec.PatternUniform, spec.PatternSequential, spec.PatternGaussian, spec.PatternZipfian, spec.PatternUnique),
				"zipf_exponent": atLeastZero("Skew of `zipfian`. Defaults to 0.99."),
				"client_uuid":   schema.BoolAttribute{Optional: true, MarkdownDescription: "Every client has keys of its own: a UUID, a hyphen, and a counter."},
			},
		},
		"data_sizes": schema.ListNestedAttribute{
			Optional: true, MarkdownDescription: "Instead of `data_size`: several ranges, weighted.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"minimum": schema.Int64Attribute{Required: true, MarkdownDescription: "Smallest size in bytes."},
				"maximum": schema.Int64Attribute{Required: true, MarkdownDescription: "Largest size in bytes."},
				"weight":  schema.Float64Attribute{Optional: true, MarkdownDescription: "Defaults to 1."},
			}},
		},
		"stages": schema.ListNestedAttribute{
			Optional: true, MarkdownDescription: "Parts of the load with settings of their own, one after the other.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"name":      schema.StringAttribute{Optional: true, MarkdownDescription: "Name in the report."},
				"duration":  schema.StringAttribute{Required: true, MarkdownDescription: "How long it lasts.", Validators: []validator.String{duration.Validator{}}},
				"rate":      atLeastZero("Commands per second (at its end, with `ramp`)."),
				"ramp":      schema.BoolAttribute{Optional: true, MarkdownDescription: "Goes to `rate` evenly from the rate before."},
				"data_size": whole("Size of a value in bytes."),
			}},
		},
		"trace": schema.SingleNestedAttribute{
			Optional: true, MarkdownDescription: "Replays a recorded workload.",
			Attributes: map[string]schema.Attribute{
				"path":   schema.StringAttribute{Required: true, MarkdownDescription: "File on the runner."},
				"format": word("`redis-bootstrap` (recorded by `redis-bootstrap record`), `monitor`, `commands` or `twitter`. Defaults to `redis-bootstrap`.", spec.TraceBootstrap, spec.TraceMonitor, spec.TraceCommands, spec.TraceTwitter),
				"speed":  atLeastZero("2 replays twice as fast. Defaults to 1."),
				"loop":   schema.BoolAttribute{Optional: true, MarkdownDescription: "Begins again at its end."},
			},
		},
	}
}

func faultInputs() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"at": schema.StringAttribute{Required: true, MarkdownDescription: "Time from the start of the measurement, such as `8s`.", Validators: []validator.String{duration.Validator{}}},
		"kind": schema.StringAttribute{
			Required: true, MarkdownDescription: "`stop` (in an orderly way), `kill` (SIGKILL), `pause` (SIGSTOP), `isolate` (cut off from other hosts), " +
				"`vm_stop` or `vm_reset` (of its Compute Engine instance; the node has to be given by `instance`).",
			Validators: []validator.String{stringvalidator.OneOf(string(spec.FaultStop), string(spec.FaultKill), string(spec.FaultPause), string(spec.FaultIsolate), string(spec.FaultVMStop), string(spec.FaultVMReset))},
		},
		"target": schema.StringAttribute{
			Required: true, MarkdownDescription: "`primary:N` or `replica:N` (of shard N, from 0), `primary` (any), `node:NAME` or `zone:NAME`.",
			Validators: []validator.String{stringvalidator.RegexMatches(faultTarget, "must be primary, primary:N, replica:N, node:NAME or zone:NAME, such as primary:0")},
		},
		"recover_after": schema.StringAttribute{Required: true, MarkdownDescription: "How long it lasts, such as `5s`.", Validators: []validator.String{duration.Validator{}}},
	}
}

func length(description string) schema.Attribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: []validator.String{duration.Validator{}}}
}

func whole(description string) schema.Attribute {
	return schema.Int64Attribute{Optional: true, MarkdownDescription: description, Validators: []validator.Int64{int64validator.AtLeast(0)}}
}

func atLeastZero(description string) schema.Attribute {
	return schema.Float64Attribute{Optional: true, MarkdownDescription: description, Validators: []validator.Float64{float64validator.AtLeast(0)}}
}

func word(description string, words ...string) schema.Attribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: []validator.String{stringvalidator.OneOf(words...)}}
}

func outputs() map[string]schema.Attribute {
	attributes := map[string]schema.Attribute{
		"id":                        text("Name of the cluster and time of the start."),
		"started_at":                text("When the measurement began."),
		"elapsed_seconds":           number("How long it took."),
		"operations":                count("Commands that were answered without an error."),
		"throughput_ops_per_second": number("Commands per second."),
		"throughput_mb_per_second":  number("Megabytes per second, both ways."),
		"latency_ms":                latencyOutput("Latency, in milliseconds."),
		"service_time_ms":           latencyOutput("Latency counted from the actual send, in milliseconds. It differs from `latency_ms` with a `rate` only."),
		"by_command":                commandsOutput("The results by command."),
		"stage_results": schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: "The results by stage of the workload.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"name": text("Its name."), "at_seconds": number("When it began, from the start."), "elapsed_seconds": number("How long it took."),
				"operations": count("Answered without an error."), "throughput_ops_per_second": number("Per second."),
				"latency_ms": latencyOutput("Latency, in milliseconds."), "by_command": commandsOutput("Its results by command."),
			}},
		},
		"errors":            schema.MapAttribute{ElementType: types.Int64Type, Computed: true, MarkdownDescription: "Errors by kind: the first word of an error reply, or `connection`, `timeout`, `refused`. Redirections that were followed are counted too."},
		"failed_operations": count("Operations that did not succeed in the end."),
		"timeline": schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: "The results by second.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"second": number("Seconds from the start."), "operations": count("Answered in it."), "errors": count("Errors in it."),
				"p50": number("Median latency, ms."), "p99": number("99th percentile, ms."), "max": number("Highest latency, ms."),
			}},
		},
		"fault_results": schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: "What came of each fault. Times are milliseconds from its injection; null: it did not happen.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"kind": text("Its kind."), "target": text("Its target."), "node": text("The node that was hit."),
				"at_seconds": number("When it was injected, from the start."), "recovered_at_seconds": number("When it was mended."),
				"detected_ms": number("The cluster marked the node as failed."), "promoted": text("The node that took over."), "promoted_ms": number("When it did."),
				"unavailable_ms": number("How long the shard did not answer."), "rejoined_as": text("Role in which the node came back."), "rejoined_ms": number("When it did."),
				"error": text("Why it could not be injected or mended."),
			}},
		},
		"unavailable_ms": number("The longest time in which a shard answered nothing although commands for it were waiting."),
		"outages": schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: "All times of 50 ms or more in which a shard answered nothing although commands for it were waiting. With several runners: in which none of them had an answer.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"shard": count("Number of the shard, from 0."), "access": text("`read` or `write`."),
				"at_seconds": number("When it began, from the start."), "duration_ms": number("How long it lasted."),
			}},
		},
		"lost_keys":            schema.ListAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: "Examples of keys whose writes were lost."},
		"lost_writes":          count("Acknowledged writes that are not there; counted with `verify`."),
		"stale_writes":         count("Values older than what was acknowledged; counted with `verify`."),
		"corrupt_writes":       count("Values that nobody wrote; counted with `verify`."),
		"verified_writes":      count("Writes that were read back."),
		"indeterminate_writes": count("Writes that were under way when a connection broke: neither acknowledged nor lost."),
		"generator": schema.SingleNestedAttribute{
			Computed: true, MarkdownDescription: "How the load generator itself did.",
			Attributes: map[string]schema.Attribute{
				"cpu": number("Its share of the processors, 0 to 1."), "saturated": schema.BoolAttribute{Computed: true, MarkdownDescription: "The figures are the generator's limit rather than the cluster's."},
				"schedule_slip_ms": number("99th percentile of how late commands were sent (with `rate`)."), "unsent": count("Commands of the schedule that were never sent."),
				"io":    schema.StringAttribute{Computed: true, MarkdownDescription: "How the runners spoke with their kernels: `io_uring` (Linux 6.1 and later, where it is allowed), `epoll`, or `epoll,io_uring` if they differ."},
				"hosts": schema.ListAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: "The runners."},
			},
		},
		"runner_results": schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: "What each of several runners did. One that is lost after the start does not end the test; what it had measured is missing from the figures.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"name": text("Its name."), "share": number("Its part of the planned load, 0 to 1."), "operations": count("Answered without an error."),
				"throughput_ops_per_second": number("Per second."), "cpu": number("Its share of the processors, 0 to 1."),
				"saturated":       schema.BoolAttribute{Computed: true, MarkdownDescription: "Its figures are its own limit rather than the cluster's."},
				"lost_at_seconds": number("When it was lost, from the start; null if it was not."), "error": text("Why it was lost."),
			}},
		},
		"warnings":    schema.ListAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: "What a reader of the figures should know, a sentence each."},
		"histogram":   text("All latencies in µs as an HdrHistogram (V2, compressed, base64), to be merged with others."),
		"report_html": schema.StringAttribute{Computed: true, MarkdownDescription: "Path of the HTML report; null without `report_dir`."},
		"passed":      schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether every objective was kept."},
		"breaches":    schema.ListAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: "Which were not, a sentence each."},
	}
	return keepResults(attributes)
}

// keepResults has an update keep the results: only a new run makes new ones.
// What an update judges or stores anew is left out.
func keepResults(attributes map[string]schema.Attribute) map[string]schema.Attribute {
	for name, a := range attributes {
		switch a := a.(type) {
		case schema.StringAttribute:
			if name != "report_html" {
				a.PlanModifiers = []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
			}
			attributes[name] = a
		case schema.Int64Attribute:
			a.PlanModifiers = []planmodifier.Int64{int64planmodifier.UseStateForUnknown()}
			attributes[name] = a
		case schema.Float64Attribute:
			a.PlanModifiers = []planmodifier.Float64{float64planmodifier.UseStateForUnknown()}
			attributes[name] = a
		case schema.MapAttribute:
			a.PlanModifiers = []planmodifier.Map{mapplanmodifier.UseStateForUnknown()}
			attributes[name] = a
		case schema.ListAttribute:
			if name != "breaches" {
				a.PlanModifiers = []planmodifier.List{listplanmodifier.UseStateForUnknown()}
			}
			attributes[name] = a
		case schema.ListNestedAttribute:
			a.PlanModifiers = []planmodifier.List{listplanmodifier.UseStateForUnknown()}
			attributes[name] = a
		case schema.SingleNestedAttribute:
			a.PlanModifiers = []planmodifier.Object{objectplanmodifier.UseStateForUnknown()}
			attributes[name] = a
		}
	}
	return attributes
}

func text(description string) schema.Attribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func count(description string) schema.Attribute {
	return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
}

func number(description string) schema.Attribute {
	return schema.Float64Attribute{Computed: true, MarkdownDescription: description}
}

func commandsOutput(description string) schema.Attribute {
	return schema.ListNestedAttribute{
		Computed: true, MarkdownDescription: description,
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"command": text("Name of the command."), "operations": count("Answered without an error."), "throughput_ops_per_second": number("Per second."),
			"errors": count("Errors."), "misses": count("Reads of keys that were not there."), "latency_ms": latencyOutput("Latency, in milliseconds."),
		}},
	}
}

func latencyOutput(description string) schema.Attribute {
	return schema.SingleNestedAttribute{
		Computed: true, MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"mean": number("Mean."), "p50": number("Median."), "p90": number("90th percentile."), "p95": number("95th percentile."),
			"p99": number("99th percentile."), "p99_9": number("99.9th percentile."), "max": number("Highest."),
		},
	}
}
