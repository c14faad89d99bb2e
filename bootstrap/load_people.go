//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/export"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// loadOptions are what `load` takes from its flags besides the workload.
type loadOptions struct {
	access   access
	askpass  bool
	server   string
	port     int
	workload workloadFlags
	verify   bool
	// objectives are name=value.
	objectives []string
	asJSON     bool
	files      loadFiles
	title, io  string
}

const loadExamples = `  # 50 clients, SET and GET 1:1, for half a minute
  redis-bootstrap load --duration 30s 10.0.0.1:6379

  # 20,000 commands per second over the whole cluster, whatever it takes to answer; fail above 5 ms
  redis-bootstrap load -s 10.0.0.1 --rate 20000 --duration 1m --objective p99_ms=5

  # a script's loop: SET then GET of the same random key, 4 clients, 400,000 commands
  redis-bootstrap load --clients 4 --requests 400000 --sequence cycle --key-prefix key: --key-minimum 1 --key-maximum 10000 10.0.0.1:6379

  # each client's own keys, the key twice over as the value
  redis-bootstrap load --clients 2000 --client-uuid --command "SET __key__ __key____key__" --duration 10m 10.0.0.1:6379

  # value sizes in stages, results for each
  redis-bootstrap load --stage 1m,data_size=16 --stage 1m,data_size=524288 10.0.0.1:6379

  # are acknowledged writes there afterwards? Write a report, too
  redis-bootstrap load --duration 5m --verify --report load.html 10.0.0.1:6379

  # files for other tools: memtier_benchmark's JSON, and load.hlog, load_FULL.hgrm, load_SET.hgrm, …
  redis-bootstrap load --duration 1m --json-out-file load.json --hdr-file-prefix load 10.0.0.1:6379`

func newLoadPeopleCommand() *cobra.Command {
	var o loadOptions
	cmd := &cobra.Command{
		Use:   "load [flags] [host:port…]",
		Short: "Load a cluster and measure what it does",
		Long: `Load a cluster and measure what it does.

Any node will do as the address; the others are found. Without --rate the
clients go as fast as they get answers (closed loop). With it commands are due
at their times, whether answers come or not, and latency counts from the time at
which a command was due (open loop).

The load goes on through failovers: what a dead shard does not answer waits for
it, with its time running. Ctrl-C ends it early, with the result so far. The exit
code is 1 if an objective is missed.`,
		Example: loadExamples,
		Args:    cobra.ArbitraryArgs,
		RunE:    o.run,
	}
	f := cmd.Flags()
	o.access.register(cmd)
	f.BoolVar(&o.askpass, "askpass", false, "ask for the password on the terminal")
	f.StringVarP(&o.server, "server", "s", "", "address of a node (default 127.0.0.1, if no host:port is given)")
	f.StringVar(&o.server, "host", "", "the same as --server")
	f.IntVarP(&o.port, "port", "p", 6379, "port of the node at --server")
	o.workload.register(f)
	f.StringVar(&o.io, "io", "", spec.IOUring+" or "+spec.IOEpoll+" (default: the faster one that the kernel offers)")
	f.BoolVar(&o.verify, "verify", false, "read every acknowledged write back at the end")
	f.StringArrayVar(&o.objectives, "objective", nil, "what the result must keep to, name=value: p99_ms, throughput_ops_per_second, error_ratio, unavailable_ms, lost_writes; may be repeated")
	f.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	o.files.register(f)
	f.StringVar(&o.title, "title", "", "heading of the report")
	return cmd
}

// run runs the load for a person.
func (o *loadOptions) run(cmd *cobra.Command, args []string) error {
	run, err := o.request(cmd, args)
	if err != nil {
		return err
	}
	if err := o.files.check(); err != nil {
		return err
	}
	if run.Baseline, err = o.files.readBaseline(); err != nil {
		return err
	}
	run.Report = o.files.wanted()
	res, err := runForPeople(cmd, run)
	if err != nil {
		return err
	}
	if err := o.files.write(run, res); err != nil {
		return err
	}
	res = export.WithoutHistograms(res)
	if o.asJSON {
		err = writeJSON(cmd.OutOrStdout(), res)
	} else {
		err = writeLoadTable(cmd.OutOrStdout(), run, res)
	}
	if err == nil && !res.Passed {
		return exitCode(1)
	}
	return err
}

// request is what the flags ask for.
func (o *loadOptions) request(cmd *cobra.Command, args []string) (spec.LoadRun, error) {
	run := spec.LoadRun{Versioned: spec.V(), Endpoints: args, Verify: o.verify, Title: o.title, IO: o.io}
	if len(args) > 0 && o.server != "" {
		return run, errors.New("give the address either as host:port or by --server")
	}
	if len(args) == 0 {
		host := o.server
		if host == "" {
			host = "127.0.0.1"
		}
		run.Endpoints = []string{net.JoinHostPort(host, strconv.Itoa(o.port))}
	}
	for _, addr := range run.Endpoints {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return run, fmt.Errorf("%q is not host:port", addr)
		}
	}
	var err error
	if run.Auth, run.TLS, err = o.access.resolve(cmd.InOrStdin()); err != nil {
		return run, err
	}
	if o.askpass {
		if run.Auth.Password, err = askPassword(); err != nil {
			return run, err
		}
	}
	if run.Workload, err = o.workload.workload(cmd.Flags()); err != nil {
		return run, err
	}
	run.Objectives, err = parseObjectives(o.objectives)
	return run, err
}

func askPassword() (spec.Secret, error) {
	fmt.Fprint(os.Stderr, "Password: ")
	text, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	if err != nil {
		return "", fmt.Errorf("--askpass: %w", err)
	}
	return spec.Secret(text), nil
}

// parseObjectives reads name=value.
func parseObjectives(list []string) (o spec.Objectives, err error) {
	for _, item := range list {
		name, text, _ := strings.Cut(item, "=")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return o, fmt.Errorf("--objective %q is not name=value", item)
		}
		switch name {
		case "p99_ms":
			o.P99MS = &value
		case "throughput_ops_per_second":
			o.ThroughputOPS = &value
		case "error_ratio":
			o.ErrorRatio = &value
		case "unavailable_ms":
			o.UnavailableMS = &value
		case "lost_writes":
			n := int64(value)
			o.LostWrites = &n
		default:
			return o, fmt.Errorf("--objective %q is not known; there are p99_ms, throughput_ops_per_second, error_ratio, unavailable_ms and lost_writes", name)
		}
	}
	return o, nil
}

// runForPeople runs the load with its progress on stderr.
func runForPeople(cmd *cobra.Command, run spec.LoadRun) (spec.LoadResult, error) {
	lines := newProgressLines(cmd.ErrOrStderr())
	defer lines.end()
	return load.Run(context.WithoutCancel(cmd.Context()), run, load.Hooks{
		Progress: func(p load.Progress) { lines.show(progressLine(p)) },
		Warn:     func(message string) { lines.print("note: " + message) },
		Phase:    func(what string) { lines.print(what) },
		Controls: stopOn(cmd.Context()),
	})
}

// stopOn ends the load early when ctx ends, rather than breaking it off: what
// was sent is waited for, and the result stands.
func stopOn(ctx context.Context) <-chan spec.LoadControl {
	controls := make(chan spec.LoadControl, 1)
	context.AfterFunc(ctx, func() { controls <- spec.LoadControl{Stop: true} })
	return controls
}

// progressLines shows progress: on a terminal in one line that changes, else
// line by line.
type progressLines struct {
	w    io.Writer
	live bool
	// shown says that the line on the terminal is to be overwritten.
	shown bool
}

func newProgressLines(w io.Writer) *progressLines {
	f, ok := w.(*os.File)
	return &progressLines{w: w, live: ok && term.IsTerminal(int(f.Fd()))}
}

// clearLine goes to the line's beginning and erases it.
const clearLine = "\r\x1b[K"

func (p *progressLines) show(line string) {
	if !p.live {
		p.print(line)
		return
	}
	_, _ = fmt.Fprint(p.w, clearLine, line)
	p.shown = true
}

func (p *progressLines) print(line string) {
	p.end()
	_, _ = fmt.Fprintln(p.w, line)
}

func (p *progressLines) end() {
	if p.shown {
		_, _ = fmt.Fprint(p.w, clearLine)
		p.shown = false
	}
}
