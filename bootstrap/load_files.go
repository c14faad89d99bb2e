//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/export"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/report"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// loadFiles are the files that `load` writes and reads besides its output.
type loadFiles struct {
	report, baseline, memtier, hdrPrefix string
}

func (f *loadFiles) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.report, "report", "", "write an HTML report to this file")
	flags.StringVar(&f.baseline, "baseline", "", "file with the JSON of an earlier result (of --json), for the report to compare with")
	flags.StringVar(&f.memtier, "json-out-file", "", "write the result as JSON in the shape of memtier_benchmark's to this file")
	flags.StringVar(&f.hdrPrefix, "hdr-file-prefix", "", "write HdrHistogram files whose names begin like this: a log (.hlog) and a distribution (.hgrm) per command")
}

// wanted says whether any file is to be written.
func (f *loadFiles) wanted() bool { return f.report != "" || f.memtier != "" || f.hdrPrefix != "" }

// leastSpace is what a disk has to have left for files that are to be written to it.
const leastSpace = 16 << 20

// check finds out whether the files can be written, before a load that may last for hours.
func (f *loadFiles) check() error {
	for flag, path := range map[string]string{"--report": f.report, "--json-out-file": f.memtier, "--hdr-file-prefix": f.hdrPrefix} {
		if path == "" {
			continue
		}
		err := checkWritable(filepath.Dir(path))
		if info, statErr := os.Stat(path); err == nil && statErr == nil && info.IsDir() && flag != "--hdr-file-prefix" {
			err = errors.New("there is a directory of that name")
		}
		if err != nil {
			return &spec.Failure{Step: "check where " + flag + " goes", Cause: fmt.Sprintf("%s cannot be written: %v", path, err), Advice: "Name another place, or make room."}
		}
	}
	return nil
}

func checkWritable(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no directory", dir)
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return err
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return err
	}
	if free := disk.Bavail * uint64(max(0, disk.Bsize)); free < leastSpace { //nolint:gosec // G115: not below 0
		return fmt.Errorf("its disk has %d KiB left", free>>10)
	}
	return nil
}

// readBaseline reads the earlier result, if there is one.
func (f *loadFiles) readBaseline() (*spec.LoadResult, error) {
	if f.baseline == "" {
		return nil, nil
	}
	text, err := os.ReadFile(f.baseline)
	if err != nil {
		return nil, err
	}
	var res spec.LoadResult
	if err := json.Unmarshal(text, &res); err != nil {
		return nil, fmt.Errorf("--baseline %s: %w", f.baseline, err)
	}
	return &res, nil
}

// write writes what was asked for.
func (f *loadFiles) write(run spec.LoadRun, res spec.LoadResult) error {
	if f.report != "" {
		if err := writeReport(f.report, run, res); err != nil {
			return err
		}
	}
	if f.memtier != "" {
		text, err := export.Memtier(run, res)
		if err == nil {
			err = os.WriteFile(f.memtier, text, readable)
		}
		if err != nil {
			return err
		}
	}
	if f.hdrPrefix == "" {
		return nil
	}
	files, err := export.HDR(res)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(f.hdrPrefix+name, []byte(text), readable); err != nil {
			return err
		}
	}
	return nil
}

// readable is the mode of files that hold figures and no secrets.
const readable = 0o644

func writeReport(path string, run spec.LoadRun, res spec.LoadResult) (err error) {
	baseline := run.Baseline
	run.Auth, run.TLS, run.Baseline = spec.Auth{}, nil, nil
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return report.HTML(file, run, res, baseline)
}
