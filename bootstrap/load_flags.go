//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// workloadFlags are the flags that describe a workload. Their names are those of
// memtier_benchmark and redis-benchmark, where these have one.
type workloadFlags struct {
	w                        spec.Workload
	duration, warmup, expiry time.Duration
	timeout                  time.Duration
	ratio, pattern, sizes    string
	sizeRange                string
	operations               map[string]string
	commands                 []string
	commandRatios            []float64
	stages                   []string
	trace                    spec.Trace
}

func (v *workloadFlags) register(f *pflag.FlagSet) {
	w := &v.w
	f.DurationVar(&v.duration, "duration", 0, "how long the load lasts (default 10s, unless --requests, --stage or --trace is given)")
	f.DurationVar(&v.duration, "test-time", 0, "the same as --duration")
	f.Int64VarP(&w.Requests, "requests", "n", 0, "number of commands in all, instead of a duration")
	f.DurationVar(&v.warmup, "warmup", 0, "run this long before the measurement")
	f.IntVarP(&w.Clients, "clients", "c", spec.DefaultClients, "simulated clients in all, each with a connection to every primary")
	f.IntVarP(&w.Threads, "threads", "t", 0, "event loops (default: one per core)")
	f.IntVarP(&w.Pipeline, "pipeline", "P", 1, "commands that a client sends at once")
	f.Float64Var(&w.Rate, "rate", 0, "commands per second in all, whether answers come or not (default: as fast as answers come)")
	f.StringVar(&w.Arrival, "arrival", spec.ArrivalConstant, "with --rate: constant or poisson")
	f.StringVar(&v.ratio, "ratio", "1:1", "SET:GET")
	f.StringToStringVar(&v.operations, "operations", nil, "weights instead of --ratio, name=weight,…: "+strings.Join(spec.OperationNames(), " "))
	f.StringArrayVar(&v.commands, "command", nil, `a command with __key__ and __data__ in it, such as "HSET __key__ f __data__"; may be repeated`)
	f.Float64SliceVar(&v.commandRatios, "command-ratio", nil, "weights of the --command flags, in their order (default 1 each)")
	f.StringVar(&w.Sequence, "sequence", spec.SequenceRandom, "random draws each command; cycle goes through them in order, with one key a round")
	f.IntVarP(&w.DataSize, "data-size", "d", spec.DefaultDataSize, "size of a value in bytes")
	f.StringVar(&v.sizeRange, "data-size-range", "", "smallest and largest size of a value, min-max")
	f.StringVar(&v.sizes, "data-size-list", "", "sizes or ranges with weights, size:weight,min-max:weight,…")
	f.DurationVar(&v.expiry, "expiry", 0, "time to live that a SET gives its key")
	f.StringVar(&w.Keys.Prefix, "key-prefix", "", "what keys begin with (default "+spec.DefaultKeyPrefix+")")
	f.Int64Var(&w.Keys.Minimum, "key-minimum", 0, "smallest number of a key")
	f.Int64Var(&w.Keys.Maximum, "key-maximum", 0, "largest number of a key (default 10000000)")
	f.IntVar(&w.Keys.Length, "key-length", 0, "random letters and digits of this length instead of a number")
	f.StringVar(&v.pattern, "key-pattern", "", "uniform (R), sequential (S), gaussian (G), zipfian (Z) or unique (P)")
	f.Float64Var(&w.Keys.ZipfExponent, "key-zipf-exp", 0, "exponent of the zipfian pattern (default 0.99)")
	f.BoolVar(&w.Keys.ClientUUID, "client-uuid", false, "keys of each client's own: a UUID, a hyphen and a counter")
	f.StringVar(&w.ReadFrom, "read-from", spec.FromPrimary, "primary or replica")
	f.StringArrayVar(&v.stages, "stage", nil, "a part of the load with its own settings, duration[,name=…][,rate=…][,ramp][,data_size=…]; may be repeated")
	f.Uint64Var(&w.Seed, "seed", 0, "makes keys, values and arrivals repeatable (default: a random one)")
	f.DurationVar(&v.timeout, "timeout", time.Duration(spec.DefaultRequestTimeout), "give a connection up that owes a reply this long")
	f.StringVar(&v.trace.Path, "trace", "", "replay this recorded workload")
	f.StringVar(&v.trace.Format, "trace-format", spec.TraceBootstrap, "redis-bootstrap, monitor, commands or twitter")
	f.Float64Var(&v.trace.Speed, "trace-speed", 1, "replay so many times as fast as it was recorded")
	f.BoolVar(&v.trace.Loop, "trace-loop", false, "begin again at the end of the recording")
}

// defaultDuration is how long a load lasts that says nothing about it.
const defaultDuration = 10 * time.Second

// workload is what the flags describe. Whether it makes sense is for Validate.
func (v *workloadFlags) workload(f *pflag.FlagSet) (spec.Workload, error) {
	w := v.w
	w.Duration, w.Warmup = spec.Duration(v.duration), spec.Duration(v.warmup)
	w.Expiry, w.RequestTimeout = spec.Duration(v.expiry), spec.Duration(v.timeout)
	if v.trace.Path != "" {
		w.Trace = &v.trace
	}
	for _, text := range v.stages {
		stage, err := parseStage(text)
		if err != nil {
			return w, err
		}
		w.Stages = append(w.Stages, stage)
	}
	if v.duration == 0 && w.Requests == 0 && len(w.Stages) == 0 && w.Trace == nil {
		w.Duration = spec.Duration(defaultDuration)
	}
	var err error
	if w.Keys.Pattern, err = parsePattern(v.pattern); err != nil {
		return w, err
	}
	if err := v.parseOperations(&w, f); err != nil {
		return w, err
	}
	return w, v.parseSizes(&w, f)
}

func (v *workloadFlags) parseOperations(w *spec.Workload, f *pflag.FlagSet) error {
	if len(v.commandRatios) > 0 && len(v.commandRatios) != len(v.commands) {
		return fmt.Errorf("--command-ratio has %d weights for %d commands", len(v.commandRatios), len(v.commands))
	}
	for i, line := range v.commands {
		c := spec.Command{Command: line, Weight: 1}
		if len(v.commandRatios) > 0 {
			c.Weight = v.commandRatios[i]
		}
		w.Commands = append(w.Commands, c)
	}
	switch {
	case f.Changed("ratio") && len(v.operations) > 0:
		return fmt.Errorf("give either --ratio or --operations")
	case len(v.operations) > 0:
		w.Operations = map[string]float64{}
		for name, text := range v.operations {
			weight, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return fmt.Errorf("--operations %s=%s is not name=weight", name, text)
			}
			w.Operations[name] = weight
		}
	case f.Changed("ratio") || len(v.commands) == 0 && w.Trace == nil:
		set, get, _ := strings.Cut(v.ratio, ":")
		sets, err1 := strconv.ParseFloat(set, 64)
		gets, err2 := strconv.ParseFloat(get, 64)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("--ratio %q is not SET:GET, such as 1:10", v.ratio)
		}
		w.Operations = map[string]float64{"set": sets, "get": gets}
	}
	return nil
}

func (v *workloadFlags) parseSizes(w *spec.Workload, f *pflag.FlagSet) error {
	list := v.sizes
	if v.sizeRange != "" {
		list = v.sizeRange + ":1"
	}
	if list == "" {
		return nil
	}
	if !f.Changed("data-size") {
		w.DataSize = 0
	}
	for item := range strings.SplitSeq(list, ",") {
		sizes, weight, hasWeight := strings.Cut(item, ":")
		low, high, isRange := strings.Cut(sizes, "-")
		if !isRange {
			high = low
		}
		if !hasWeight {
			weight = "1"
		}
		d := spec.DataSize{}
		var err1, err2, err3 error
		d.Minimum, err1 = strconv.Atoi(low)
		d.Maximum, err2 = strconv.Atoi(high)
		d.Weight, err3 = strconv.ParseFloat(weight, 64)
		if err1 != nil || err2 != nil || err3 != nil {
			return fmt.Errorf("data size %q is not size:weight or min-max:weight", item)
		}
		w.DataSizes = append(w.DataSizes, d)
	}
	return nil
}

// parsePattern takes the words, and memtier_benchmark's letters ("R" or "R:R").
func parsePattern(text string) (string, error) {
	first, second, both := strings.Cut(text, ":")
	if both && first != second {
		return "", fmt.Errorf("--key-pattern %q: SET and GET take their keys by the same pattern here", text)
	}
	switch first {
	case "R":
		return spec.PatternUniform, nil
	case "S":
		return spec.PatternSequential, nil
	case "P":
		return spec.PatternUnique, nil
	case "G":
		return spec.PatternGaussian, nil
	case "Z":
		return spec.PatternZipfian, nil
	}
	return first, nil
}

// parseStage reads "30s,name=peak,rate=5000,ramp,data_size=64".
func parseStage(text string) (s spec.Stage, err error) {
	for i, item := range strings.Split(text, ",") {
		name, value, _ := strings.Cut(item, "=")
		if i == 0 && value == "" {
			name, value = "duration", item
		}
		switch name {
		case "duration":
			err = s.Duration.UnmarshalText([]byte(value))
		case "name":
			s.Name = value
		case "rate":
			s.Rate, err = strconv.ParseFloat(value, 64)
		case "ramp":
			s.Ramp = true
		case "data_size":
			s.DataSize, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("%q is not known", name)
		}
		if err != nil {
			return s, fmt.Errorf("--stage %q: %w", text, err)
		}
	}
	return s, nil
}
