package spec

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Defaults of a workload. They are redis-benchmark's and memtier_benchmark's
// where those agree with a test that means something.
const (
	DefaultClients        = 50
	DefaultDataSize       = 32
	DefaultKeyPrefix      = "key:"
	DefaultKeyMaximum     = 10_000_000
	DefaultRequestTimeout = Duration(time.Second)
	// DefaultZipfExponent is the one of YCSB.
	DefaultZipfExponent = 0.99
)

// Limits of a workload.
const (
	// MaxDataSize is the default of proto-max-bulk-len, 512 MB, which cluster nodes refuse to exceed.
	MaxDataSize = 512 << 20
	// MinVerifiedDataSize is what a value needs to say which write it is from.
	MinVerifiedDataSize = 11
	maxClients          = 1_000_000
	maxPipeline         = 100_000
	maxKeyLength        = 10_000
	maxSpeed            = 1e6
)

// The key patterns.
const (
	PatternUniform    = "uniform"
	PatternSequential = "sequential"
	PatternGaussian   = "gaussian"
	PatternZipfian    = "zipfian"
	PatternUnique     = "unique"
)

// The other words of a workload.
const (
	ArrivalConstant = "constant"
	ArrivalPoisson  = "poisson"
	SequenceRandom  = "random"
	SequenceCycle   = "cycle"
	FromPrimary     = "primary"
	FromReplica     = "replica"

	TraceBootstrap = "redis-bootstrap"
	TraceMonitor   = "monitor"
	TraceCommands  = "commands"
	TraceTwitter   = "twitter"
)

// KeyPlaceholder and DataPlaceholder stand for the key and the value in the
// line of a Command. All keys of one command are the same key.
const (
	KeyPlaceholder  = "__key__"
	DataPlaceholder = "__data__"
)

// OperationLine is the command line of a named operation. Operations on lists,
// counters and so on have keys of their own, so that a mix never meets a key of the wrong type.
func OperationLine(name string) (line string, ok bool) {
	switch strings.ToLower(name) {
	case "set", "getset":
		return strings.ToUpper(name) + " __key__ __data__", true
	case "get", "del", "unlink", "exists", "strlen", "ttl", "touch":
		return strings.ToUpper(name) + " __key__", true
	case "incr", "decr":
		return strings.ToUpper(name) + " __key__:counter", true
	case "lpush", "rpush":
		return strings.ToUpper(name) + " __key__:list __data__", true
	case "lpop", "rpop", "llen":
		return strings.ToUpper(name) + " __key__:list", true
	case "lrange":
		return "LRANGE __key__:list 0 99", true
	case "sadd":
		return "SADD __key__:set __data__", true
	case "spop", "scard":
		return strings.ToUpper(name) + " __key__:set", true
	case "hset":
		return "HSET __key__:hash field __data__", true
	case "hget":
		return "HGET __key__:hash field", true
	case "zadd":
		return "ZADD __key__:zset 1 __data__", true
	case "zpopmin", "zcard":
		return strings.ToUpper(name) + " __key__:zset", true
	case "ping":
		return "PING", true
	}
	return "", false
}

// OperationNames are the names that OperationLine knows, for messages.
func OperationNames() []string {
	return []string{
		"set", "get", "del", "unlink", "exists", "strlen", "ttl", "touch", "getset", "incr", "decr",
		"lpush", "rpush", "lpop", "rpop", "llen", "lrange", "sadd", "spop", "scard",
		"hset", "hget", "zadd", "zpopmin", "zcard", "ping",
	}
}

// WithDefaults fills in what the user left out.
func (w Workload) WithDefaults() Workload {
	w.Clients = or(w.Clients, DefaultClients)
	w.Pipeline = or(w.Pipeline, 1)
	w.Arrival = or(w.Arrival, ArrivalConstant)
	w.Sequence = or(w.Sequence, SequenceRandom)
	w.ReadFrom = or(w.ReadFrom, FromPrimary)
	w.RequestTimeout = or(w.RequestTimeout, DefaultRequestTimeout)
	w.Keys = w.Keys.withDefaults()
	if len(w.Operations) == 0 && len(w.Commands) == 0 && w.Trace == nil {
		w.Operations = map[string]float64{"set": 1, "get": 1}
	}
	if len(w.DataSizes) == 0 {
		w.DataSize = or(w.DataSize, DefaultDataSize)
	}
	if w.Duration == 0 && w.Requests == 0 {
		w.Duration = w.stagesDuration()
	}
	if w.Trace != nil {
		t := *w.Trace
		t.Speed, t.Format = or(t.Speed, 1), or(t.Format, TraceBootstrap)
		w.Trace = &t
	}
	return w
}

func (k Keys) withDefaults() Keys {
	k.Pattern = or(k.Pattern, PatternUniform)
	if k.ClientUUID {
		return k
	}
	if k.Length == 0 {
		k.Prefix = or(k.Prefix, DefaultKeyPrefix)
		if k.Pattern != PatternUnique {
			k.Maximum = or(k.Maximum, max(DefaultKeyMaximum, k.Minimum))
		}
	}
	if k.Pattern == PatternZipfian {
		k.ZipfExponent = or(k.ZipfExponent, DefaultZipfExponent)
	}
	return k
}

// or is value, or fallback where value is zero.
func or[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

func (w Workload) stagesDuration() (sum Duration) {
	for _, s := range w.Stages {
		sum += s.Duration
	}
	return sum
}

// Problem is a reason to refuse a workload.
type Problem struct {
	// Attribute is the path of what is wrong, in the words of the JSON: "keys.maximum".
	Attribute string
	// Message says what is wrong and what would be right.
	Message string
}

// problems collects Problem values.
type problems []Problem

// unless notes a problem where ok is false.
func (p *problems) unless(ok bool, attribute, format string, args ...any) {
	if !ok {
		*p = append(*p, Problem{Attribute: attribute, Message: fmt.Sprintf(format, args...)})
	}
}

// Validate says what is wrong with w, with what the user left out filled in as
// WithDefaults does. It needs no server; whether the server knows the commands
// is found out before the first request.
func (w Workload) Validate() []Problem {
	w = w.WithDefaults()
	var p problems
	w.validateExtent(&p)
	w.validateClients(&p)
	w.validateOperations(&p)
	w.validateKeys(&p)
	w.validateData(&p)
	w.validateTrace(&p)
	return p
}

// validateExtent checks how long the load goes on.
func (w Workload) validateExtent(p *problems) {
	p.unless(w.Duration >= 0, "duration", "is %s; it must be positive", w.Duration)
	p.unless(w.Requests >= 0, "requests", "is %d; it must be positive", w.Requests)
	p.unless(w.Duration == 0 || w.Requests == 0, "requests", "is set together with duration; give one of them, since whichever comes first would end the load")
	p.unless(w.Duration != 0 || w.Requests != 0 || w.Trace != nil, "duration", "is missing: give either duration (\"60s\") or requests")
	p.unless(w.Warmup >= 0, "warmup", "is %s; it must not be negative", w.Warmup)
	p.unless(w.Warmup == 0 || w.Requests == 0, "warmup", "goes with duration, not with requests: requests counts every command")
	for i, s := range w.Stages {
		at := fmt.Sprintf("stages[%d]", i)
		p.unless(s.Duration > 0, at+".duration", "is %s; every stage needs a positive duration", s.Duration)
		p.unless(!s.Ramp || s.Rate > 0, at+".ramp", "needs a rate to go to")
		p.unless(s.Rate == 0 || w.Rate > 0 || w.Stages[0].Rate > 0, at+".rate", "is set but the load starts without a rate: set rate of the workload or of the first stage")
	}
	p.unless(len(w.Stages) == 0 || w.Requests == 0, "requests", "cannot be combined with stages, which last for a time each")
	p.unless(w.Duration <= 0 || w.stagesDuration() <= w.Duration, "stages", "last %s together, longer than the duration of %s", w.stagesDuration(), w.Duration)
}

// validateClients checks who sends, and how fast.
func (w Workload) validateClients(p *problems) {
	p.unless(w.Clients >= 1 && w.Clients <= maxClients, "clients", "is %d; 1 to %d are possible", w.Clients, maxClients)
	p.unless(w.Pipeline >= 1 && w.Pipeline <= maxPipeline, "pipeline", "is %d; 1 to %d are possible", w.Pipeline, maxPipeline)
	p.unless(w.Threads >= 0 && w.Threads <= w.Clients, "threads", "is %d; every thread needs a client, and there are %d clients", w.Threads, w.Clients)
	p.unless(w.Rate >= 0 && !math.IsInf(w.Rate, 0) && !math.IsNaN(w.Rate), "rate", "is %g commands per second; it must be positive, or absent for as fast as the clients go", w.Rate)
	p.unless(w.RequestTimeout > 0, "request_timeout", "is %s; it must be positive", w.RequestTimeout)
	p.oneOf("arrival", w.Arrival, ArrivalConstant, ArrivalPoisson)
	p.oneOf("sequence", w.Sequence, SequenceRandom, SequenceCycle)
	p.oneOf("read_from", w.ReadFrom, FromPrimary, FromReplica)
}

func (p *problems) oneOf(attribute, value string, words ...string) {
	p.unless(slices.Contains(words, value), attribute, "is %q; it must be one of %s", value, strings.Join(words, ", "))
}

// validateOperations checks what is sent.
func (w Workload) validateOperations(p *problems) {
	sum := 0.0
	for _, name := range slices.Sorted(maps.Keys(w.Operations)) {
		_, known := OperationLine(name)
		p.unless(known, "operations."+name, "is no operation that is known here; there are %s; put others under commands", strings.Join(OperationNames(), ", "))
		sum += p.weight("operations."+name, w.Operations[name])
	}
	for i, c := range w.Commands {
		at := fmt.Sprintf("commands[%d]", i)
		sum += p.weight(at+".weight", c.Weight)
		name, _, _ := strings.Cut(strings.TrimSpace(c.Command), " ")
		p.unless(name != "", at+".command", "is empty; write a command as in redis-cli, such as HSET __key__ field __data__")
		p.unless(!endsReplies(name), at+".command", "%s changes what the connection is for, so that no more replies could be told apart", strings.ToUpper(name))
	}
	p.unless(sum > 0 || w.Trace != nil, "operations", "have weights that sum to zero, so nothing would be sent; give at least one a positive weight")
}

func (p *problems) weight(attribute string, weight float64) float64 {
	ok := weight >= 0 && !math.IsInf(weight, 0) // false for NaN too
	p.unless(ok, attribute, "has weight %g; it must not be negative", weight)
	if !ok {
		return 0
	}
	return weight
}

// endsReplies says whether command ends the plain sequence of a reply per command.
func endsReplies(command string) bool {
	switch strings.ToLower(command) {
	case "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe",
		"monitor", "sync", "psync", "replconf", "reset", "quit", "hello", "auth", "client", "shutdown",
		"multi", "exec", "discard", "watch", "readonly", "readwrite", "asking":
		return true
	}
	return false
}

// validateKeys checks which keys are used.
func (w Workload) validateKeys(p *problems) {
	k := w.Keys
	p.oneOf("keys.pattern", k.Pattern, PatternUniform, PatternSequential, PatternGaussian, PatternZipfian, PatternUnique)
	p.unless(k.Length >= 0 && k.Length <= maxKeyLength, "keys.length", "is %d; 1 to %d are possible", k.Length, maxKeyLength)
	p.unless(k.Minimum >= 0, "keys.minimum", "is %d; it must not be negative", k.Minimum)
	p.unless(len(k.Prefix) <= maxKeyLength, "keys.prefix", "has %d bytes; at most %d are possible", len(k.Prefix), maxKeyLength)
	p.unless(k.ZipfExponent >= 0, "keys.zipf_exponent", "is %g; it must be positive", k.ZipfExponent)
	switch {
	case k.ClientUUID:
		p.unless(k.Length == 0 && k.Minimum == 0 && k.Maximum == 0, "keys.client_uuid", "has each client count from 1; leave length, minimum and maximum out")
		p.unless(k.Pattern == PatternUnique || k.Pattern == PatternUniform, "keys.pattern", "is %s, but with client_uuid every key is unique", k.Pattern)
	case k.Length > 0:
		p.unless(k.Minimum == 0 && k.Maximum == 0, "keys.length", "makes random keys; leave minimum and maximum out")
		p.unless(k.Pattern == PatternUniform, "keys.pattern", "is %s, but keys of a given length are random (uniform)", k.Pattern)
	default:
		unbounded := k.Pattern == PatternUnique && k.Maximum == 0
		p.unless(unbounded || k.Maximum >= k.Minimum, "keys.maximum", "is %d, less than the minimum of %d", k.Maximum, k.Minimum)
		if have := k.Maximum - k.Minimum + 1; k.Pattern == PatternUnique && !unbounded {
			need := w.scheduled()
			p.unless(float64(have) >= need, "keys.maximum", "leaves %d keys, too few for %.0f requests that never use a key twice; raise it, or leave it out for as many as it takes", have, need)
		}
	}
}

// scheduled is how many commands there will be, as far as that is known before:
// of a load that goes as fast as it can it is not.
func (w Workload) scheduled() float64 {
	if w.Requests > 0 {
		return float64(w.Requests)
	}
	sum, rate, rest := 0.0, w.Rate, w.Duration
	for _, s := range w.Stages {
		next := or(s.Rate, rate)
		if s.Ramp {
			sum += (rate + next) / 2 * s.Duration.D().Seconds()
		} else {
			sum += next * s.Duration.D().Seconds()
		}
		rate, rest = next, rest-s.Duration
	}
	return math.Floor(sum + rate*(max(0, rest)+w.Warmup).D().Seconds())
}

// validateData checks the values' sizes.
func (w Workload) validateData(p *problems) {
	size := func(attribute string, n int) {
		p.unless(n >= 0, attribute, "is %d bytes; it must not be negative", n)
		p.unless(n <= MaxDataSize, attribute, "is %d bytes, above the 512 MB (%d) of proto-max-bulk-len that a server takes", n, MaxDataSize)
	}
	size("data_size", w.DataSize)
	p.unless(w.DataSize == 0 || len(w.DataSizes) == 0, "data_sizes", "is set together with data_size; give one of them")
	sum := 0.0
	for i, d := range w.DataSizes {
		at := fmt.Sprintf("data_sizes[%d]", i)
		size(at+".minimum", d.Minimum)
		size(at+".maximum", d.Maximum)
		p.unless(d.Minimum <= d.Maximum, at+".maximum", "is %d, less than the minimum of %d", d.Maximum, d.Minimum)
		sum += p.weight(at+".weight", d.Weight)
	}
	p.unless(sum > 0 || len(w.DataSizes) == 0, "data_sizes", "have weights that sum to zero; give at least one a positive weight")
	for i, s := range w.Stages {
		size(fmt.Sprintf("stages[%d].data_size", i), s.DataSize)
	}
	p.unless(w.Expiry == 0 || w.Expiry >= Duration(time.Millisecond), "expiry", "is %s; it must be a millisecond or more", w.Expiry)
}

// validateTrace checks the recorded workload.
func (w Workload) validateTrace(p *problems) {
	if w.Trace == nil {
		return
	}
	p.unless(w.Trace.Path != "", "trace.path", "is missing: the file on the runner that holds the recorded workload")
	p.unless(w.Trace.Speed >= 1/maxSpeed && w.Trace.Speed <= maxSpeed, "trace.speed", "is %g; %g to %g are possible (2 replays twice as fast)", w.Trace.Speed, 1/maxSpeed, float64(maxSpeed))
	p.oneOf("trace.format", w.Trace.Format, TraceBootstrap, TraceMonitor, TraceCommands, TraceTwitter)
	p.unless(len(w.Operations) == 0 && len(w.Commands) == 0, "trace", "is set together with operations or commands; the trace says what is sent")
	p.unless(len(w.Stages) == 0, "trace", "cannot be combined with stages")
	p.unless(!w.Trace.Loop || w.Duration > 0 || w.Requests > 0, "trace.loop", "needs a duration or a number of requests to end at")
}

// unverified are operations that give keys values which do not say which write
// they are from. A counter's value does not say either whose increments it has.
var unverified = []string{"getset", "incr", "decr", "lpush", "rpush", "sadd", "hset", "zadd"}

// ValidateVerify says what keeps the writes of w from being verified.
func (w Workload) ValidateVerify() []Problem {
	w = w.WithDefaults()
	var p problems
	p.unless(w.Operations["set"] > 0, "verify", "checks what SET wrote, and the workload has no operation set")
	p.unless(len(w.Commands) == 0, "commands", "may change the keys whose values are verified; leave them out, or set verify = false")
	for _, name := range slices.Sorted(maps.Keys(w.Operations)) {
		p.unless(w.Operations[name] == 0 || !slices.Contains(unverified, strings.ToLower(name)), "operations."+name, "changes the keys whose values are verified, and what it writes is not; leave it out, or set verify = false")
	}
	smallest := w.DataSize
	for i, d := range w.DataSizes {
		if i == 0 || d.Minimum < smallest {
			smallest = d.Minimum
		}
	}
	for _, s := range w.Stages {
		if s.DataSize > 0 {
			smallest = min(smallest, s.DataSize)
		}
	}
	p.unless(smallest >= MinVerifiedDataSize, "data_size", "is %d; verify needs %d bytes or more, so that a value can say which write it is from", smallest, MinVerifiedDataSize)
	return p
}
