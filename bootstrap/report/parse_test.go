package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// render is the report as text. It fails the test where the page is not
// well-formed or breaks a rule that every page keeps to.
func render(t *testing.T, run spec.LoadRun, res spec.LoadResult, baseline *spec.LoadResult) (string, *node) {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, run, res, baseline); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if !utf8.ValidString(text) {
		t.Error("the page is not valid UTF-8")
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("the page shows a number that is none")
	}
	root := parse(t, text)
	checkCharts(t, root)
	return text, root
}

// node is an element of a page.
type node struct {
	name     string
	attr     map[string]string
	children []*node
	// text is all text in it.
	text string
}

var code = regexp.MustCompile(`(?s)<(style|script)>.*?</(style|script)>`)

// parse reads a page. Ours are well-formed XML but for the code in them, so
// that a tag that is not closed, or one that is smuggled in, is found.
func parse(t *testing.T, page string) *node {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(code.ReplaceAllString(page, "<$1></$1>")))
	root := &node{}
	open := []*node{root}
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return root
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		top := open[len(open)-1]
		switch tok := tok.(type) {
		case xml.StartElement:
			n := &node{name: tok.Name.Local, attr: map[string]string{}}
			for _, a := range tok.Attr {
				n.attr[a.Name.Local] = a.Value
			}
			top.children = append(top.children, n)
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
			if n := tok.Name.Local; n == "td" || n == "th" {
				for _, n := range open {
					n.text += " "
				}
			}
		case xml.CharData:
			for _, n := range open {
				n.text += string(tok)
			}
		}
	}
}

// all are the elements of that name and, if it is not empty, that class.
func (n *node) all(name, class string) []*node {
	var out []*node
	for _, c := range n.children {
		if c.name == name && (class == "" || slices.Contains(strings.Fields(c.attr["class"]), class)) {
			out = append(out, c)
		}
		out = append(out, c.all(name, class)...)
	}
	return out
}

// section is the text of the section with that heading.
func (n *node) section(t *testing.T, heading string) *node {
	t.Helper()
	for _, s := range n.all("section", "") {
		for _, h := range s.all("h2", "") {
			if h.text == heading {
				return s
			}
		}
	}
	t.Fatalf("no section %q", heading)
	return nil
}

var (
	pathData  = regexp.MustCompile(`^(M-?[\d.]+ -?[\d.]+([HV]-?[\d.]+|L-?[\d.]+ -?[\d.]+|Z)*)*$`)
	placement = regexp.MustCompile(`^(left|top):[\d.]+%$`)
	numerals  = regexp.MustCompile(`-?[\d.]+`)
	fetchable = []string{"src", "href", "action", "data", "poster", "srcset"}
)

// checkCharts checks what JavaScript and the eye rely on: charts lie within
// their plots, and the tables of their values fit them.
func checkCharts(t *testing.T, root *node) {
	t.Helper()
	tables := map[string]*node{}
	for _, table := range root.all("table", "") {
		width := len(table.all("thead", "")[0].all("th", ""))
		for _, r := range table.all("tbody", "")[0].all("tr", "") {
			if len(r.children) != width {
				t.Errorf("a row of %d cells under %d heads: %s", len(r.children), width, r.text)
			}
		}
		if id := table.attr["id"]; id != "" {
			if tables[id] != nil {
				t.Errorf("two tables with the id %s", id)
			}
			tables[id] = table
			checkRising(t, table)
		}
	}
	for _, f := range root.all("figure", "chart") {
		table := tables[f.attr["data-table"]]
		if table == nil {
			t.Fatalf("no table %q for a chart", f.attr["data-table"])
		}
		heads := len(table.all("thead", "")[0].all("th", ""))
		for _, c := range strings.Fields(f.attr["data-columns"]) {
			if n := number(t, c); n < 1 || int(n) >= heads {
				t.Errorf("a chart has column %s of %d", c, heads)
			}
		}
		svg := f.all("div", "area")[0].all("svg", "")[0]
		height := number(t, strings.Fields(svg.attr["viewBox"])[3])
		for _, p := range svg.all("path", "") {
			if !pathData.MatchString(p.attr["d"]) {
				t.Errorf("not a path: %.80s", p.attr["d"])
			}
			for _, n := range numerals.FindAllString(p.attr["d"], -1) {
				if v := number(t, n); v < 0 || v > max(plotWidth, height) {
					t.Errorf("a line leaves its plot: %s", n)
				}
			}
		}
	}
	checkAttributes(t, root)
}

func checkRising(t *testing.T, table *node) {
	t.Helper()
	last := -1.0
	for _, r := range table.all("tbody", "")[0].all("tr", "") {
		x := number(t, r.attr["data-x"])
		if x < last || x > plotWidth {
			t.Errorf("row at %v after one at %v", x, last)
		}
		last = x
	}
}

// checkAttributes finds what would fetch or run something.
func checkAttributes(t *testing.T, n *node) {
	t.Helper()
	for name, value := range n.attr {
		if slices.Contains(fetchable, name) && value != "data:," {
			t.Errorf("<%s %s=%q> fetches something", n.name, name, value)
		}
		if name == "style" && !placement.MatchString(value) {
			t.Errorf("<%s style=%q> is more than a place", n.name, value)
		}
		if strings.HasPrefix(name, "on") {
			t.Errorf("<%s %s> runs something", n.name, name)
		}
	}
	for _, c := range n.children {
		checkAttributes(t, c)
	}
}
