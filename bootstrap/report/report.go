// Package report writes the result of a load test as a page for people: one
// HTML file that needs nothing else, not even JavaScript, to be read.
package report

import (
	"bytes"
	"fmt"
	"io"

	"golang.org/x/net/html"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// HTML writes the report of res, the result of run, to w. With a baseline, an
// earlier result, it compares the two. The same input gives the same bytes, and
// nothing of run.Auth or run.TLS is shown.
func HTML(w io.Writer, run spec.LoadRun, res spec.LoadResult, baseline *spec.LoadResult) error {
	var buf bytes.Buffer
	if err := html.Render(&buf, newPage(run, res, baseline).document()); err != nil {
		return fmt.Errorf("load report: %w", err)
	}
	if _, err := w.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("write load report: %w", err)
	}
	return nil
}
