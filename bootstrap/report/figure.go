package report

import (
	"fmt"
)

// figure is the chart as the page has it. The script finds its values by
// data-table and data-columns.
func (c chart) figure() part {
	return tag("figure", classes("chart", c.Class), attr{"data-table", c.Table}, attr{"data-columns", c.Columns},
		tag("figcaption",
			tag("b", text(c.Title)), text(" "), tag("span", class("note"), text(c.Note)),
			each(c.Series, series.key)),
		tag("div", class("frame"),
			c.lane(),
			axis("y", "top", c.Y),
			tag("div", class("area"), attr{"role", "img"}, attr{"aria-label", c.Label}, c.plot()),
			given(len(c.X) > 0, axis("x", "left", c.X))))
}

// key is the legend's entry.
func (s series) key() part {
	return given(!s.Unlisted, text(" "), tag("span", class("key"),
		tag("svg", attr{"viewBox", "0 0 22 10"}, hidden(), stroke(s.Class, "M1 5H21")),
		text(s.Name)))
}

// lane holds the labels above the plot.
func (c chart) lane() part {
	return given(c.Lane > 0, tag("div", classes("lane", fmt.Sprint("rows", c.Lane)), hidden(), each(c.Labels, mark.label)))
}

func (m mark) label() part {
	flip := ""
	if m.Flip {
		flip = "flip"
	}
	return tag("span", classes("mark", m.Kind, fmt.Sprint("row", m.Row), flip), at{"left", m.X},
		tag("i", text(m.Symbol)), tag("span", text(" "+m.Label)))
}

func axis(name, edge string, ticks []tick) part {
	return tag("div", class(name), hidden(), each(ticks, func(t tick) part {
		return tag("span", at{edge, t.At}, text(t.Label))
	}))
}

// plot draws from the back to the front.
func (c chart) plot() part {
	return tag("svg", attr{"viewBox", fmt.Sprintf("0 0 %d %d", plotWidth, c.Height)}, attr{"preserveAspectRatio", "none"}, hidden(),
		each(c.Shades, series.stroke),
		each(c.Grid, func(y float64) part { return stroke("grid", fmt.Sprintf("M0 %sH%d", decimal(y), plotWidth)) }),
		each(c.Series, series.stroke),
		each(c.Lines, series.stroke))
}

func (s series) stroke() part { return stroke(s.Class, s.Path) }

func stroke(name, d string) part { return tag("path", class(name), attr{"d", d}) }
