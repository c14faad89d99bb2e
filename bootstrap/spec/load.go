package spec

import "time"

// LoadRun is the first request on stdin of `redis-bootstrap load run`. LoadControl
// values follow on the same stream while the load runs.
type LoadRun struct {
	Versioned
	// Endpoints are address:port of some nodes; the others are discovered.
	Endpoints []string `json:"endpoints"`
	// Names maps address:port to the user's name of the node, for results.
	Names map[string]string `json:"names,omitempty"`
	// Zones maps address:port to the node's zone, for faults on a zone.
	Zones map[string]string `json:"zones,omitempty"`
	Auth  Auth              `json:"auth"`
	TLS   *TLS              `json:"tls,omitempty"`

	Workload Workload `json:"workload"`
	// Verify has every acknowledged write read back at the end.
	Verify     bool       `json:"verify,omitempty"`
	Faults     []Fault    `json:"faults,omitempty"`
	Objectives Objectives `json:"objectives,omitzero"`
	// Runner and Runners number this runner among those of one test, from 0.
	Runner  int `json:"runner,omitempty"`
	Runners int `json:"runners,omitempty"`
	// Await has the runner wait, once it is connected, for LoadControl.Start: so
	// all runners start together, however long each of them takes to get ready and
	// whatever their clocks say.
	Await bool `json:"await,omitempty"`
	// IO is IOEpoll or IOUring; empty means the faster one that the kernel offers.
	IO string `json:"io,omitempty"`
	// Attached stops the load when stdin ends: the caller is gone.
	Attached bool `json:"attached,omitempty"`
	// Report has the result carry an HTML report, and the files of LoadResult.Files.
	Report bool `json:"report,omitempty"`
	// Baseline is the result of an earlier run, for the report to compare with.
	Baseline *LoadResult `json:"baseline,omitempty"`
	// Title heads the report.
	Title string `json:"title,omitempty"`
}

// How a runner speaks with its kernel. See io_uring(7) and epoll(7).
const (
	IOUring = "io_uring"
	IOEpoll = "epoll"
)

// Workload is what is sent. Its words are memtier_benchmark's and redis-benchmark's.
type Workload struct {
	// Duration or Requests (commands in all) ends the load; exactly one is set.
	Duration Duration `json:"duration,omitempty"`
	Requests int64    `json:"requests,omitempty"`
	// Warmup runs before the measurement and counts nowhere.
	Warmup Duration `json:"warmup,omitempty"`
	// Clients is the number of simulated clients, each of which has one
	// connection per primary that it talks to and one command (or pipeline) under way.
	Clients int `json:"clients"`
	// Pipeline is the number of commands that a client sends at once, ≥ 1.
	Pipeline int `json:"pipeline"`
	// Threads is the number of event loops; 0 means as many as there are cores.
	Threads int `json:"threads,omitempty"`
	// Rate is the number of commands per second of the whole test, over all
	// runners (open loop); 0 means as fast as the clients go (closed loop).
	Rate float64 `json:"rate,omitempty"`
	// Arrival is "constant" or "poisson"; it matters with a rate.
	Arrival string `json:"arrival,omitempty"`
	// Operations are weights by name of command ("set", "get", "del", "incr", …).
	// Empty means SET and GET, 1:1.
	Operations map[string]float64 `json:"operations,omitempty"`
	// Sequence "cycle" has a client go through the operations in order, by weight
	// (SET then GET of the same key, as a loop in a script does); "random" draws each.
	Sequence string `json:"sequence,omitempty"`
	// Commands are arbitrary commands with __key__ and __data__ placeholders.
	Commands []Command `json:"commands,omitempty"`
	Keys     Keys      `json:"keys"`
	// DataSize is the size of a value in bytes; DataSizes, if any, weights several.
	DataSize  int        `json:"data_size,omitempty"`
	DataSizes []DataSize `json:"data_sizes,omitempty"`
	// Expiry sets a time to live with each SET; 0 means none.
	Expiry Duration `json:"expiry,omitempty"`
	// ReadFrom is "primary" or "replica".
	ReadFrom string `json:"read_from,omitempty"`
	// Stages change rate, clients or data size as the load goes on.
	Stages []Stage `json:"stages,omitempty"`
	// Seed makes keys, values and arrivals repeatable; 0 draws one.
	Seed uint64 `json:"seed,omitempty"`
	// RequestTimeout is how long a connection may owe a reply without a byte
	// moving before it is given up and its commands are sent anew; 0 means 1 s.
	RequestTimeout Duration `json:"request_timeout,omitempty"`
	// Trace replays a recorded workload instead of a made one.
	Trace *Trace `json:"trace,omitempty"`
}

// Command is a user's command.
type Command struct {
	// Command is the line, quoted as in redis-cli: "HSET __key__ f __data__".
	Command string  `json:"command"`
	Weight  float64 `json:"weight"`
}

// Keys says which keys are used.
type Keys struct {
	Prefix string `json:"prefix,omitempty"`
	// Minimum and Maximum bound the number after the prefix, both included.
	Minimum int64 `json:"minimum,omitempty"`
	Maximum int64 `json:"maximum,omitempty"`
	// Length, instead of Minimum and Maximum, makes the part after the prefix
	// that many random letters and digits.
	Length int `json:"length,omitempty"`
	// Pattern is uniform, sequential, gaussian, zipfian or unique (never the same twice).
	Pattern string `json:"pattern,omitempty"`
	// ZipfExponent skews the zipfian pattern; 0 means 0.99.
	ZipfExponent float64 `json:"zipf_exponent,omitempty"`
	// ClientUUID has each client use keys of its own: a UUID, a hyphen, and a
	// counter from 1, after the prefix.
	ClientUUID bool `json:"client_uuid,omitempty"`
}

// DataSize is a weighted range of value sizes, in bytes.
type DataSize struct {
	Minimum int     `json:"minimum"`
	Maximum int     `json:"maximum"`
	Weight  float64 `json:"weight"`
}

// Stage is a part of the load with settings of its own. A zero setting is the workload's.
type Stage struct {
	Name     string   `json:"name,omitempty"`
	Duration Duration `json:"duration"`
	// Rate at the end of the stage; with Ramp it goes there evenly from the rate before.
	Rate     float64 `json:"rate,omitempty"`
	Ramp     bool    `json:"ramp,omitempty"`
	DataSize int     `json:"data_size,omitempty"`
}

// Trace names a recorded workload on the runner.
type Trace struct {
	Path string `json:"path"`
	// Format is redis-bootstrap, monitor, commands or twitter.
	Format string  `json:"format,omitempty"`
	Speed  float64 `json:"speed,omitempty"`
	Loop   bool    `json:"loop,omitempty"`
}

// Fault is a fault to be put into the load. The load decides when it is due and
// which node it hits, and says so (FaultDue); whoever started the load does it
// and answers with a LoadControl.
type Fault struct {
	// At is the time from the start of the measurement.
	At   Duration  `json:"at"`
	Kind FaultKind `json:"kind"`
	// Target is "primary" or "primary:N" (of shard N, from 0), "replica:N",
	// "node:NAME" or "zone:NAME".
	Target string `json:"target"`
	// RecoverAfter is how long the fault lasts.
	RecoverAfter Duration `json:"recover_after"`
}

// LogEvent is the log field that marks a line on stderr as a message to the
// caller; its value is one of the Event constants.
const LogEvent = "event"

// The events of `load run`.
const (
	// EventLoadReady: the runner is connected and waits for LoadControl.Start.
	EventLoadReady = "load_ready"
	// EventLoadStarted: the measurement has begun.
	EventLoadStarted = "load_started"
	// EventFaultDue: fields "fault" (index) and "node" (address:port). The caller
	// injects it now and sends FaultInjected. A fault on a zone is due once for
	// each of its nodes, with the same index.
	EventFaultDue = "fault_due"
)

// LoadControl is a message to a running load, one JSON object a line.
type LoadControl struct {
	// FaultInjected and FaultRecovered say that fault number Fault has just
	// happened, or has just been mended; FaultFailed that it could not be done, and why.
	Fault          int    `json:"fault"`
	FaultInjected  bool   `json:"fault_injected,omitempty"`
	FaultRecovered bool   `json:"fault_recovered,omitempty"`
	FaultFailed    string `json:"fault_failed,omitempty"`
	// Start begins a load that awaits it.
	Start bool `json:"start,omitempty"`
	// Stop ends the load early; the result covers what was measured.
	Stop bool `json:"stop,omitempty"`
}

// Objectives are what a result must keep to; a nil one is not checked.
type Objectives struct {
	P99MS         *float64 `json:"p99_ms,omitempty"`
	ThroughputOPS *float64 `json:"throughput_ops_per_second,omitempty"`
	// ErrorRatio is errors ÷ (operations + errors), 0–1; redirections that were
	// followed (moved, ask, tryagain) are no errors here.
	ErrorRatio    *float64 `json:"error_ratio,omitempty"`
	UnavailableMS *float64 `json:"unavailable_ms,omitempty"`
	LostWrites    *int64   `json:"lost_writes,omitempty"`
}

// LoadMerge is the request of `load merge`: the results of the runners of one
// test into one, exactly (histograms are added, not averaged).
type LoadMerge struct {
	Versioned
	// Run is the request of the first runner, with the workload of the whole test.
	Run LoadRun `json:"run"`
	// Runners has an entry for each, by LoadRun.Runner.
	Runners []RunnerReport `json:"runners"`
}

// RunnerReport is what became of one runner of a test.
type RunnerReport struct {
	Name string `json:"name"`
	// Result is nil if it was lost before it could give one.
	Result *LoadResult `json:"result,omitempty"`
	// Error says why there is no result.
	Error string `json:"error,omitempty"`
	// LostAtSeconds is when it was lost, from the start of its measurement.
	LostAtSeconds float64 `json:"lost_at_seconds,omitempty"`
}

// LoadResult is the result of `load run` and `load merge`.
type LoadResult struct {
	// StartedAt is when the measurement began.
	StartedAt time.Time `json:"started_at"`
	// ElapsedSeconds is how long it took.
	ElapsedSeconds float64 `json:"elapsed_seconds"`
	// Operations is the number of commands that were answered without an error.
	Operations            int64   `json:"operations"`
	ThroughputOPS         float64 `json:"throughput_ops_per_second"`
	ThroughputMBPerSecond float64 `json:"throughput_mb_per_second"`
	Latency               Latency `json:"latency_ms"`
	// ServiceTime is counted from the actual send; it differs from Latency in open loop only.
	ServiceTime Latency         `json:"service_time_ms"`
	ByCommand   []CommandResult `json:"by_command"`
	// Errors counts by kind: an error reply's first word, lower case ("moved",
	// "clusterdown"), or "connection", "timeout", "refused". Redirections that
	// were followed stand here too although the operation succeeded.
	Errors map[string]int64 `json:"errors"`
	// FailedOperations is how many operations did not succeed in the end.
	FailedOperations int64 `json:"failed_operations"`
	// Timeline has an entry per second, the first from 0.
	Timeline []Interval    `json:"timeline"`
	Faults   []FaultResult `json:"faults,omitempty"`
	// UnavailableMS is the longest time, in milliseconds, in which some shard
	// answered nothing although commands for it were waiting; 0 if there was none.
	UnavailableMS float64 `json:"unavailable_ms"`
	// Outages are all times of 50 ms or more in which a shard answered nothing
	// although commands for it were waiting, in the order of their beginning.
	Outages []Outage `json:"outages,omitempty"`
	// Stages has an entry per stage of the workload.
	Stages []StageResult `json:"stages,omitempty"`
	// Writes that were acknowledged and are not there (lost), are older than
	// acknowledged (stale) or are not what was written (corrupt); only with Verify.
	LostWrites    int64 `json:"lost_writes"`
	StaleWrites   int64 `json:"stale_writes"`
	CorruptWrites int64 `json:"corrupt_writes"`
	// IndeterminateWrites were under way when a connection broke.
	IndeterminateWrites int64     `json:"indeterminate_writes"`
	VerifiedWrites      int64     `json:"verified_writes"`
	LostKeys            []string  `json:"lost_keys,omitempty"`
	Generator           Generator `json:"generator"`
	// Runners has an entry for each of several runners.
	Runners []RunnerResult `json:"runners,omitempty"`
	// Silences are the times in which a shard gave this runner no answer, whether
	// it waited for one or not: those of 50 ms or more, the longest if there are
	// very many. Only a runner among several gives them, for LoadMerge.
	Silences []Outage `json:"silences,omitempty"`
	// Histogram is all latencies as an HdrHistogram, V2 compressed, base64; unit: µs.
	Histogram        string `json:"histogram"`
	ServiceHistogram string `json:"service_histogram,omitempty"`
	// Percentiles are points of the latency distribution for plots.
	Percentiles []Percentile `json:"percentiles"`
	Passed      bool         `json:"passed"`
	Breaches    []string     `json:"breaches,omitempty"`
	// Workload is what was sent, with what the user left out filled in; by it a
	// later run can tell whether it is comparable.
	Workload *Workload `json:"workload,omitempty"`
	// Server says what was measured, as the nodes said it.
	Server LoadServer `json:"server"`
	// Warnings are what the reader of the figures should know, a sentence each.
	Warnings []string `json:"warnings,omitempty"`
	// Interrupted says that the load was stopped before its end.
	Interrupted bool `json:"interrupted,omitempty"`
	// ReportHTML is the report, if one was asked for.
	ReportHTML string `json:"report_html,omitempty"`
	// Files are the result in other tools' formats, by the end of the name that a
	// file of it has (".hlog", "_SET.hgrm"); they go with the report.
	Files map[string]string `json:"files,omitempty"`
}

// Latency is a distribution in milliseconds.
type Latency struct {
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// Percentile is one point of a distribution.
type Percentile struct {
	// Percentile is 0–100.
	Percentile float64 `json:"percentile"`
	MS         float64 `json:"ms"`
}

// CommandResult is the part of a result that belongs to one command.
type CommandResult struct {
	// Command is its name in upper case, or the user's line.
	Command       string  `json:"command"`
	Operations    int64   `json:"operations"`
	ThroughputOPS float64 `json:"throughput_ops_per_second"`
	Errors        int64   `json:"errors"`
	// Misses counts reads of keys that were not there.
	Misses    int64   `json:"misses"`
	Latency   Latency `json:"latency_ms"`
	Histogram string  `json:"histogram"`
}

// Interval is one second of the load.
type Interval struct {
	// Second is the time from the start to the interval's start, in seconds.
	Second     float64 `json:"second"`
	Operations int64   `json:"operations"`
	Errors     int64   `json:"errors"`
	P50        float64 `json:"p50"`
	P99        float64 `json:"p99"`
	Max        float64 `json:"max"`
	// ByShard counts operations by shard, in the order of LoadServer.Shards.
	ByShard []int64 `json:"by_shard,omitempty"`
	// Histograms are the interval's latencies by command, in the order of
	// LoadResult.ByCommand, for exact merging and files; dropped from final results.
	Histograms []string `json:"histograms,omitempty"`
}

// Outage is a time in which a shard answered nothing although commands for it were waiting.
type Outage struct {
	// Shard is the index in LoadServer.Shards.
	Shard int `json:"shard"`
	// Access is "read" or "write": the commands that were not answered.
	Access string `json:"access"`
	// AtSeconds counts from the start of the load.
	AtSeconds  float64 `json:"at_seconds"`
	DurationMS float64 `json:"duration_ms"`
}

// StageResult is the part of a result that belongs to one stage.
type StageResult struct {
	Name string `json:"name"`
	// AtSeconds and ElapsedSeconds are when the stage began and how long it took.
	AtSeconds      float64         `json:"at_seconds"`
	ElapsedSeconds float64         `json:"elapsed_seconds"`
	Operations     int64           `json:"operations"`
	ThroughputOPS  float64         `json:"throughput_ops_per_second"`
	Latency        Latency         `json:"latency_ms"`
	ByCommand      []CommandResult `json:"by_command"`
}

// FaultResult is what came of one fault. Times are milliseconds from the
// injection, by the load's clock; nil means that it did not happen.
type FaultResult struct {
	Kind   FaultKind `json:"kind"`
	Target string    `json:"target"`
	// Node is the name of the node that was hit.
	Node string `json:"node"`
	// Shards are the indexes in LoadServer.Shards of the shards that it was part of,
	// or that the nodes of a zone were.
	Shards []int `json:"shards,omitempty"`
	// AtSeconds and RecoveredAtSeconds count from the start of the load.
	AtSeconds          float64  `json:"at_seconds"`
	RecoveredAtSeconds *float64 `json:"recovered_at_seconds,omitempty"`
	// DetectedMS: the cluster marked the node as failed.
	DetectedMS *float64 `json:"detected_ms,omitempty"`
	// Promoted is the node that took over, PromotedMS when.
	Promoted   string   `json:"promoted,omitempty"`
	PromotedMS *float64 `json:"promoted_ms,omitempty"`
	// UnavailableMS is how long the shard, or the worst of the shards, did not answer.
	UnavailableMS float64 `json:"unavailable_ms"`
	// RejoinedAs is the role in which the node came back, RejoinedMS when.
	RejoinedAs string   `json:"rejoined_as,omitempty"`
	RejoinedMS *float64 `json:"rejoined_ms,omitempty"`
	// Error says why it could not be injected or mended.
	Error string `json:"error,omitempty"`
}

// RunnerResult is the part of a result that belongs to one of several runners.
type RunnerResult struct {
	Name string `json:"name"`
	// Share is its part of the load as it was planned, 0–1.
	Share         float64 `json:"share"`
	Operations    int64   `json:"operations"`
	ThroughputOPS float64 `json:"throughput_ops_per_second"`
	CPU           float64 `json:"cpu"`
	Saturated     bool    `json:"saturated"`
	// LostAtSeconds is when it was lost, with all that it had measured; nil if it was not.
	LostAtSeconds *float64 `json:"lost_at_seconds,omitempty"`
	// Error says why it was lost.
	Error string `json:"error,omitempty"`
}

// Generator is how the load generator itself did.
type Generator struct {
	// CPU is its own processor time ÷ (elapsed × cores), 0–1.
	CPU float64 `json:"cpu"`
	// CPUMicrosPerOperation is processor time in µs per operation, user and system.
	CPUMicrosPerOperation float64 `json:"cpu_us_per_operation"`
	// Saturated: the figures are the generator's limit rather than the cluster's.
	Saturated bool `json:"saturated"`
	// ScheduleSlipMS is the 99th percentile of how late commands were sent in open loop.
	ScheduleSlipMS float64 `json:"schedule_slip_ms"`
	// Unsent is how many commands of the schedule were never sent.
	Unsent int64 `json:"unsent"`
	// GCPauseMS is the time that the garbage collector stopped the generator, in all.
	GCPauseMS float64 `json:"gc_pause_ms"`
	// IO is how the runners spoke with their kernels: IOUring, IOEpoll, or both
	// with a comma if they differ.
	IO string `json:"io"`
	// Hosts names the runners.
	Hosts []string `json:"hosts"`
}

// LoadServer describes the cluster that was measured.
type LoadServer struct {
	Version string `json:"version"`
	Flavor  string `json:"flavor"`
	// Nodes and Shards are as the cluster stood at the start.
	Nodes  int     `json:"nodes"`
	Shards []Shard `json:"shards"`
}
