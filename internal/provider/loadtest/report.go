package loadtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

const (
	noReportDir = "Report Directory Not Writable"
	noBaseline  = "Unable to Read Baseline"
	// reportRoom is what the disk has to have room for: far more than most reports are.
	reportRoom = 8 << 20
	reportEnd  = ".html"
)

// checkReportDir finds out whether the report will find a place, before a test
// is run for nothing: it writes a file beside it, and deletes it again.
func (m *model) checkReportDir() (diags diag.Diagnostics) {
	if m.ReportDir.IsNull() || m.ReportDir.IsUnknown() {
		return nil
	}
	if err := probe(m.ReportDir.ValueString()); err != nil {
		diags.AddAttributeError(path.Root("report_dir"), noReportDir,
			fmt.Sprintf("The report cannot be written to %s: %v.\n\nNothing was run. Name another directory, or make room.", m.ReportDir.ValueString(), err))
	}
	return diags
}

// probe writes to dir, or to the directory that dir will be made in.
func probe(dir string) (err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	for {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			return fmt.Errorf("%s is no directory", dir)
		}
		if err == nil {
			break
		}
		if above := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && above != dir {
			dir = above
			continue
		}
		return err
	}
	file, err := os.CreateTemp(dir, ".loadtest-*")
	if err != nil {
		return err
	}
	_, err = file.Write(bytes.Repeat([]byte{' '}, reportRoom))
	return errors.Join(err, file.Close(), os.Remove(file.Name()))
}

// readBaseline reads the earlier result that the report is to compare with.
func (m *model) readBaseline() (*spec.LoadResult, diag.Diagnostics) {
	var diags diag.Diagnostics
	if m.Baseline.IsNull() || m.Baseline.IsUnknown() {
		return nil, nil
	}
	var res spec.LoadResult
	text, err := os.ReadFile(m.Baseline.ValueString())
	if err == nil {
		err = json.Unmarshal(text, &res)
	}
	if err == nil && res.StartedAt.IsZero() {
		err = errors.New("it is no result of a load test")
	}
	if err != nil {
		diags.AddAttributeError(path.Root("baseline"), noBaseline, fmt.Sprintf("%v.\n\nNothing was run. Name the .json that an earlier run wrote into its report_dir, or remove baseline.", err))
		return nil, diags
	}
	return &res, nil
}

// writeReport writes the files of a run into the report directory, if there is one.
func (m *model) writeReport(res spec.LoadResult) (diags diag.Diagnostics) {
	m.ReportHTML = types.StringNull()
	if m.ReportDir.IsNull() {
		return nil
	}
	files := map[string][]byte{reportEnd: []byte(res.ReportHTML)}
	for end, text := range res.Files {
		files[end] = []byte(text)
	}
	return m.writeFiles(files)
}

// writeFiles writes files, by the end of their names.
func (m *model) writeFiles(files map[string][]byte) (diags diag.Diagnostics) {
	stem, err := m.stem()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(stem), 0o755) //nolint:gosec // G301: a report is no secret.
	}
	for end, text := range files {
		if err == nil {
			err = os.WriteFile(stem+end, text, 0o644) //nolint:gosec // G306: a report is no secret.
		}
	}
	if err != nil {
		diags.AddAttributeWarning(path.Root("report_dir"), cannotReport, err.Error())
		return diags
	}
	m.ReportHTML = types.StringValue(stem + reportEnd)
	return nil
}

// stem is how the paths of a run's files begin.
func (m *model) stem() (string, error) {
	return filepath.Abs(filepath.Join(m.ReportDir.ValueString(), m.ID.ValueString()))
}

// moveReport writes the files of the run that state has into the new directory.
func (m *model) moveReport(state model) (diags diag.Diagnostics) {
	m.ReportHTML = types.StringNull()
	if m.ReportDir.IsNull() {
		return nil
	}
	files, err := written(state)
	if err != nil {
		diags.AddAttributeWarning(path.Root("report_dir"), cannotReport,
			"There is no report of this run to move into the new directory. The next run writes one; change triggers to have it now.")
		return diags
	}
	return m.writeFiles(files)
}

// written reads the files of the run that state has.
func written(state model) (map[string][]byte, error) {
	stem, found := strings.CutSuffix(state.ReportHTML.ValueString(), reportEnd)
	if !found {
		return nil, fs.ErrNotExist
	}
	entries, err := os.ReadDir(filepath.Dir(stem))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		end, ours := strings.CutPrefix(entry.Name(), filepath.Base(stem))
		if !ours {
			continue
		}
		if files[end], err = os.ReadFile(stem + end); err != nil {
			return nil, err
		}
	}
	if _, ok := files[reportEnd]; !ok {
		return nil, fs.ErrNotExist
	}
	return files, nil
}
