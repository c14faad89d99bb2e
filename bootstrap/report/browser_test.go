package report

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// browse is the page as a real browser has it once scripts have run.
func browse(t *testing.T, run spec.LoadRun, res spec.LoadResult) string {
	t.Helper()
	var browser string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("neither chromium nor google-chrome is in PATH: the report's script was not run")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "report.html")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := HTML(f, run, res, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+filepath.Join(dir, "profile"), "--dump-dom", "file://"+file)
	dom, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", browser, err)
	}
	return string(dom)
}

// TestBrowserRunsOurScript checks that the page's policy lets its own script
// run, which makes a slider of each chart.
func TestBrowserRunsOurScript(t *testing.T) {
	dom := browse(t, sampleRun(), sampleResult())
	if n := strings.Count(dom, `role="slider"`); n != 7 {
		t.Errorf("%d of 7 charts can be read with the pointer and the keyboard", n)
	}
}

// TestBrowserRunsNoOther checks that hostile names run nothing.
func TestBrowserRunsNoOther(t *testing.T) {
	for _, name := range hostile[:2] {
		run, res := dressed(name)
		dom := browse(t, run, res)
		if strings.Contains(dom, "<title>pwned") {
			t.Errorf("%s has run", name)
		}
	}
}
