//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/export"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/report"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func newLoadCommand() *cobra.Command {
	cmd := newLoadPeopleCommand()
	cmd.AddCommand(
		serve("run", "Run a load (JSON)", spec.Decode[spec.LoadRun], loadRun),
		serve("merge", "Merge the results of several runners (JSON)", spec.Decode[spec.LoadMerge], loadMerge),
	)
	return cmd
}

// loadRun runs one runner's load. Messages follow the request on the same stream.
func loadRun(ctx context.Context, log hclog.Logger, run spec.LoadRun, dec *json.Decoder) (spec.LoadResult, error) {
	auth, err := credentials(run.Auth)
	if err != nil {
		return spec.LoadResult{}, err
	}
	run.Auth = auth
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	hooks := logHooks(log)
	hooks.Controls = controls(ctx, dec, func(err error) {
		if !errors.Is(err, io.EOF) {
			log.Warn("a message to the load cannot be read", "error", err.Error())
		}
		if run.Attached {
			cancel(errors.New("the caller is gone"))
		}
	})
	res, err := load.Run(ctx, run, hooks)
	if err != nil {
		return res, err
	}
	return document(log, run, res), nil
}

// controls passes the messages on; at the end of the stream it calls ended.
// Nothing can interrupt a read from stdin, so the goroutine ends with it.
func controls(ctx context.Context, dec *json.Decoder, ended func(error)) <-chan spec.LoadControl {
	messages := make(chan spec.LoadControl)
	go func() {
		defer close(messages)
		for {
			var c spec.LoadControl
			if err := dec.Decode(&c); err != nil {
				ended(err)
				return
			}
			select {
			case messages <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	return messages
}

// logHooks report a load as lines of the log.
func logHooks(log hclog.Logger) load.Hooks {
	return load.Hooks{
		Ready:   func() { log.Info("connected", spec.LogEvent, spec.EventLoadReady) },
		Started: func() { log.Info("load started", spec.LogEvent, spec.EventLoadStarted) },
		Progress: func(p load.Progress) {
			done, total, unit := int64(p.Elapsed/time.Second), int64(p.Total/time.Second), "s"
			if p.Requests > 0 {
				done, total, unit = p.Operations, p.Requests, "requests"
			}
			log.Info(progressLine(p), spec.LogPhase, "load", spec.LogDone, done, spec.LogTotal, total, spec.LogUnit, unit)
		},
		FaultDue: func(fault int, addr string) {
			log.Info("fault due", spec.LogEvent, spec.EventFaultDue, "fault", fault, "node", addr)
		},
		Warn:  func(message string) { log.Warn(message) },
		Phase: func(what string) { log.Info(what, spec.LogPhase, "load") },
	}
}

func progressLine(p load.Progress) string {
	extent := fmt.Sprintf("%s/%s", p.Elapsed, p.Total)
	if p.Requests > 0 {
		extent = fmt.Sprintf("%d/%d requests", p.Operations, p.Requests)
	}
	return fmt.Sprintf("%s  %.0f ops/s  p99 %.3f ms  errors %d", extent, p.OPS, p.P99, p.Errors)
}

// document has res carry its report and files, if run asks for them. What is of
// use only for them, or for a merge, goes from the result of a whole test.
func document(log hclog.Logger, run spec.LoadRun, res spec.LoadResult) spec.LoadResult {
	if run.Report {
		// The request is shown in the report, the way in is not.
		baseline := run.Baseline
		run.Auth, run.TLS, run.Baseline = spec.Auth{}, nil, nil
		var page bytes.Buffer
		err := report.HTML(&page, run, res, baseline)
		res.ReportHTML = page.String()
		if err == nil {
			res.Files, err = export.Files(run, res)
		}
		if err != nil {
			log.Warn("the report cannot be written", "error", err.Error())
		}
	}
	if run.Await {
		return res
	}
	return export.WithoutHistograms(res)
}

// loadMerge makes one result of those of several runners.
func loadMerge(_ context.Context, log hclog.Logger, m spec.LoadMerge, _ *json.Decoder) (spec.LoadResult, error) {
	res, err := load.Merge(m)
	if err != nil {
		return res, err
	}
	m.Run.Await = false
	return document(log, m.Run, res), nil
}
