package report

import (
	"crypto/sha256"
	_ "embed" // for report.css and report.js
	"encoding/base64"
	"fmt"

	"golang.org/x/net/html"
)

// The page's code goes into it as it is: no input is in it.
var (
	//go:embed report.css
	styles string
	//go:embed report.js
	script string
)

// policy has the browser run our script alone and fetch nothing, whatever a
// hostile name might smuggle into the page.
func policy() string {
	sum := sha256.Sum256([]byte(script))
	return "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; script-src 'sha256-" +
		base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// document is the whole page.
func (p page) document() *html.Node {
	root := &html.Node{Type: html.DocumentNode}
	root.AppendChild(&html.Node{Type: html.DoctypeNode, Data: "html"})
	tag("html", attr{"lang", "en"}, p.head(), tag("body", p.main(), tag("script", text(script)))).addTo(root)
	return root
}

func (p page) head() part {
	return tag("head",
		tag("meta", attr{"charset", "utf-8"}),
		tag("meta", attr{"http-equiv", "Content-Security-Policy"}, attr{"content", policy()}),
		tag("meta", attr{"name", "viewport"}, attr{"content", "width=device-width, initial-scale=1"}),
		tag("meta", attr{"name", "color-scheme"}, attr{"content", "light dark"}),
		tag("link", attr{"rel", "icon"}, attr{"href", "data:,"}),
		tag("title", text(p.Title+": "+p.Verdict.Word)),
		tag("style", text(styles)),
	)
}

func (p page) main() part {
	return tag("main",
		tag("header",
			tag("h1", text(p.Title)),
			tag("p", class("lead"), text(p.Subtitle)),
		),
		p.Verdict.section(),
		each(p.Alerts, alert.note),
		tag("section", attr{"aria-label", "What ran against what"}, setup(p.Setup)),
		tag("section", class("tiles"), attr{"aria-label", "Headline figures"}, each(p.Tiles, tile.box)),
		p.overTime(),
		p.byShard(),
		p.latency(),
		card("By command", p.Commands.or("No command was run.")),
		given(len(p.Stages.Rows) > 0, card("By stage", p.Stages.or(""))),
		p.faults(),
		given(len(p.Outages.Rows) > 0, card("Times without an answer",
			paragraph("Times of 50 ms or more in which a shard answered nothing although commands for it were waiting."),
			p.Outages.or(""), note(p.OmittedOutages))),
		p.errors(),
		p.Verification.section(),
		p.Generator.section(),
		given(len(p.Runners.Rows) > 0, card("By runner", p.Runners.or(""))),
		p.comparison(),
		p.exact(),
		tag("footer", text("Made by redis-bootstrap. Times are UTC; 1 ms is 1,000 µs; p99 is the latency that 99 % of operations kept below.")),
	)
}

func (v verdict) section() part {
	return tag("section", classes("verdict", v.Class), attr{"aria-label", "Verdict"},
		tag("p", tag("strong", text(v.Word)), text(" "+v.Text)),
		given(len(v.Breaches) > 0, tag("ul", each(v.Breaches, item))),
		v.Objectives.or(""),
	)
}

func (a alert) note() part {
	return tag("p", classes("alert", a.Class), attr{"role", "note"}, tag("strong", text(a.Title)), text(" "+a.Text))
}

func setup(facts []fact) part {
	return tag("dl", class("setup"), each(facts, func(f fact) part {
		return tag("div", tag("dt", text(f.Name)), tag("dd", text(f.Text)))
	}))
}

func (t tile) box() part {
	var delta part = parts{}
	if d := t.Delta; d != nil {
		delta = tag("p", class("delta"), tag("span", class(d.Class), text(d.Text)), text(" from "+d.From))
	}
	return tag("div", classes("tile", t.Class),
		tag("h2", text(t.Name)),
		tag("p", class("value"), text(t.Value)),
		delta,
		given(t.Sub != "", tag("p", class("sub"), text(t.Sub))),
	)
}

func (p page) overTime() part {
	told := tales(p.Tales)
	if p.ManyFaults {
		told = paragraph(fmt.Sprintf("%d faults were put into the load; “Faults” below tells what came of each.", len(p.Tales)))
	}
	return card("Over time",
		told,
		each(p.Time.Main, chart.figure),
		given(len(p.Time.Main) == 0, paragraph("Not a second was measured.")),
		given(len(p.Tales)+len(p.Outages.Rows) > 0, tag("p", class("note"), given(len(p.Tales) > 0, swatch("down", "a node is down"), text(" ")), swatch("unavailable", "a shard does not answer"))),
		note(p.Time.Folded),
	)
}

func swatch(name, meaning string) part {
	return tag("span", class("shade"), tag("span", classes("swatch", name)), text(" "+meaning))
}

func (p page) byShard() part {
	return given(len(p.Shards.Rows) > 0, card("By shard",
		note(p.Time.Omitted),
		given(len(p.Time.Shards) > 0, note("Operations per second, all on one scale")),
		each(p.Time.Shards, chart.figure),
		details("Shards and their nodes at the start", p.Shards),
	))
}

func (p page) latency() part {
	curves := paragraph("Nothing was answered, so there is no latency to show.")
	if len(p.Percentiles.Series) > 0 {
		curves = p.Percentiles.figure()
	}
	return card("Latency", curves, p.Latencies.or(""))
}

func (p page) faults() part {
	return given(len(p.Tales) > 0, card("Faults",
		given(p.ManyFaults, tales(p.Tales)),
		p.Faults.or(""),
		note("Detected, promoted and rejoined count from the injection."),
	))
}

func (p page) errors() part {
	return card("Errors by kind",
		p.Errors.or("There were none."),
		given(p.Redirections != "", note("Of these, "+p.Redirections+
			": those operations succeeded. An operation that was tried several times can have several errors.")),
	)
}

func (v verification) section() part {
	var keys parts
	for i, k := range v.Keys {
		keys = append(keys, given(i > 0, text(", ")), tag("code", text(k)))
	}
	return card("Verification of writes",
		paragraph(v.Text),
		v.Table.or(""),
		given(len(v.Keys) > 0, tag("p", text("Lost keys: "), keys, text(" "+v.Hidden))),
	)
}

func (g generator) section() part {
	var said part = text(g.Text)
	if g.Class != "" {
		said = tag("strong", said)
	}
	return tag("section", classes("card", g.Class),
		tag("h2", text("The load generator itself")),
		tag("p", said),
		setup(g.Facts),
	)
}

func (p page) comparison() part {
	return given(len(p.Comparison.Rows) > 0, card("Compared with the baseline",
		paragraph(p.ComparisonText),
		given(len(p.Differences.Rows) > 0, paragraph("What ran is not the same:"), p.Differences.or("")),
		p.Comparison.or(""),
	))
}

// exact holds the tables that the charts take their values from.
func (p page) exact() part {
	return given(len(p.Time.Table.Rows) > 0, card("The figures behind the charts",
		details("Over time", p.Time.Table),
		given(len(p.Distribution.Rows) > 0, details("Latency by percentile", p.Distribution)),
	))
}

func card(heading string, in ...part) part {
	return tag("section", class("card"), tag("h2", text(heading)), parts(in))
}

func details(summary string, t table) part {
	return tag("details", tag("summary", text(summary)), t.element())
}

func paragraph(s string) part { return tag("p", text(s)) }

func item(s string) part { return tag("li", text(s)) }

func note(s string) part { return given(s != "", tag("p", class("note"), text(s))) }

func tales(sentences []string) part {
	if len(sentences) > 1 {
		return tag("ol", class("tales"), each(sentences, item))
	}
	return each(sentences, paragraph)
}
