package spec

import (
	"strings"
	"testing"
	"time"
)

func TestWorkloadValidate(t *testing.T) {
	seconds := Duration(20 * time.Second)
	for name, c := range map[string]struct {
		workload Workload
		// attributes that must be complained about, in order, with "," between
		want string
	}{
		"the least":                     {Workload{Duration: seconds}, ""},
		"no end":                        {Workload{}, "duration"},
		"two ends":                      {Workload{Duration: seconds, Requests: 1}, "requests"},
		"stages are an end":             {Workload{Stages: []Stage{{Duration: seconds}}}, ""},
		"stages beyond the end":         {Workload{Duration: 1, Stages: []Stage{{Duration: seconds}}}, "stages"},
		"stage without rate before":     {Workload{Stages: []Stage{{Duration: seconds}, {Duration: seconds, Rate: 5, Ramp: true}}}, "stages[1].rate"},
		"negative times":                {Workload{Duration: -1, Warmup: -1}, "duration,warmup"},
		"warm-up of a count":            {Workload{Requests: 1, Warmup: 1}, "warmup"},
		"weights that sum to zero":      {Workload{Duration: seconds, Operations: map[string]float64{"set": 0}}, "operations"},
		"negative weight":               {Workload{Duration: seconds, Operations: map[string]float64{"set": -1, "get": 1}}, "operations.set"},
		"unknown operation":             {Workload{Duration: seconds, Operations: map[string]float64{"sett": 1}}, "operations.sett"},
		"subscribing":                   {Workload{Duration: seconds, Commands: []Command{{"subscribe __key__", 1}}}, "commands[0].command"},
		"empty command":                 {Workload{Duration: seconds, Commands: []Command{{" ", 1}}}, "commands[0].command"},
		"too big a value":               {Workload{Duration: seconds, DataSize: MaxDataSize + 1}, "data_size"},
		"sizes the wrong way round":     {Workload{Duration: seconds, DataSizes: []DataSize{{2, 1, 1}}}, "data_sizes[0].maximum"},
		"sizes without weight":          {Workload{Duration: seconds, DataSizes: []DataSize{{1, 2, 0}}}, "data_sizes"},
		"too few keys":                  {Workload{Requests: 11, Keys: Keys{Minimum: 1, Maximum: 10, Pattern: PatternUnique}}, "keys.maximum"},
		"enough keys":                   {Workload{Requests: 10, Keys: Keys{Minimum: 1, Maximum: 10, Pattern: PatternUnique}}, ""},
		"too few keys for the rate":     {Workload{Duration: seconds, Rate: 100, Keys: Keys{Maximum: 1998, Pattern: PatternUnique}}, "keys.maximum"},
		"enough keys for the rate":      {Workload{Duration: seconds, Rate: 100, Keys: Keys{Maximum: 1999, Pattern: PatternUnique}}, ""},
		"too few keys for the ramp":     {Workload{Rate: 1, Stages: []Stage{{Duration: seconds, Rate: 9, Ramp: true}}, Keys: Keys{Maximum: 98, Pattern: PatternUnique}}, "keys.maximum"},
		"enough keys for the ramp":      {Workload{Rate: 1, Stages: []Stage{{Duration: seconds, Rate: 9, Ramp: true}}, Keys: Keys{Maximum: 99, Pattern: PatternUnique}}, ""},
		"a trace at no speed":           {Workload{Trace: &Trace{Path: "t", Speed: 1e-9}}, "trace.speed"},
		"unique without end":            {Workload{Duration: seconds, Keys: Keys{Pattern: PatternUnique}}, ""},
		"keys the wrong way round":      {Workload{Duration: seconds, Keys: Keys{Minimum: 5, Maximum: 4}}, "keys.maximum"},
		"unknown pattern":               {Workload{Duration: seconds, Keys: Keys{Pattern: "zipf"}}, "keys.pattern"},
		"unknown arrival":               {Workload{Duration: seconds, Arrival: "bursty"}, "arrival"},
		"more threads than clients":     {Workload{Duration: seconds, Threads: 3, Clients: 2}, "threads"},
		"trace without path":            {Workload{Trace: &Trace{}}, "trace.path"},
		"endless trace":                 {Workload{Trace: &Trace{Path: "t", Loop: true}}, "trace.loop"},
		"random keys of 8 (first seed)": {Workload{Duration: seconds, Keys: Keys{Length: 8}, Sequence: SequenceCycle, DataSize: 16}, ""},
		"a UUID per client":             {Workload{Duration: seconds, Keys: Keys{ClientUUID: true}, Commands: []Command{{"SET __key__ __key____key__", 1}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range c.workload.Validate() {
				got = append(got, p.Attribute)
				if p.Message == "" {
					t.Errorf("%s: no message", p.Attribute)
				}
			}
			if strings.Join(got, ",") != c.want {
				t.Errorf("got problems with %v, want %q", c.workload.Validate(), c.want)
			}
		})
	}
}

func TestEveryOperationHasALine(t *testing.T) {
	for _, name := range OperationNames() {
		if line, ok := OperationLine(name); !ok || !strings.HasPrefix(line, strings.ToUpper(name)) {
			t.Errorf("%s: %q, %t", name, line, ok)
		}
	}
}

func TestWorkloadValidateVerify(t *testing.T) {
	if p := (Workload{Operations: map[string]float64{"set": 1, "get": 1, "del": 1, "INCR": 1, "hset": 0}}).ValidateVerify(); len(p) != 1 || p[0].Attribute != "operations.INCR" {
		t.Errorf("counters: %v", p)
	}
	if p := (Workload{DataSize: MinVerifiedDataSize}).ValidateVerify(); len(p) > 0 {
		t.Errorf("got %v", p)
	}
	if p := (Workload{DataSize: MinVerifiedDataSize - 1, Operations: map[string]float64{"get": 1}}).ValidateVerify(); len(p) != 2 {
		t.Errorf("got %v, want two problems", p)
	}
}
