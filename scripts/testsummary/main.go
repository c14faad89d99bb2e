// Command testsummary reads `go test -json` on stdin and prints what a person
// wants to know of it: each package's verdict, the output of what failed, and
// every skipped test with its reason, so that nothing is skipped in silence.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

func main() {
	ok, err := summarize(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// summarize says whether everything passed, and at least one test ran.
func summarize(r io.Reader, w io.Writer) (bool, error) {
	var passed, failed int
	var skips []string
	output := map[string]*strings.Builder{}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, err
		}
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			_, _ = io.WriteString(w, line) // a build error is no JSON
			continue
		}
		key := e.Package + e.ImportPath + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if output[key] == nil {
				output[key] = &strings.Builder{}
			}
			output[key].WriteString(e.Output)
			continue
		case "fail", "build-fail":
			if output[key] != nil {
				_, _ = fmt.Fprintf(w, "--- %s\n%s", key, output[key])
			}
		}
		switch {
		case e.Test == "" && (e.Action == "pass" || e.Action == "fail"):
			_, _ = fmt.Fprintf(w, "%-4s %s (%.1f s)\n", e.Action, e.Package, e.Elapsed)
		case e.Action == "pass":
			passed++
		case e.Action == "fail":
			failed++
		case e.Action == "skip" && e.Test != "":
			skips = append(skips, fmt.Sprintf("%s %s", e.Package, strings.TrimSpace(output[key].String())))
		}
		if e.Test != "" {
			delete(output, key)
		}
	}
	if len(skips) > 0 {
		_, _ = fmt.Fprintf(w, "\nNot tested on this machine:\n%s\n", strings.Join(skips, "\n"))
	}
	_, err := fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", passed, failed, len(skips))
	return failed == 0 && passed > 0, err
}
