package report

// table is a table of words and figures. The first cell of a row heads it.
type table struct {
	// ID is set for a table that holds the exact values of charts.
	ID   string
	Head []column
	Rows []row
}

type column struct {
	Name string
	// Number columns are set to the right.
	Number bool
}

type row struct {
	// X is where the row stands in the plots of its table, 0–plotWidth.
	X     float64
	Cells []cell
}

type cell struct {
	Text string
	// Class is "bad", "good", "code" or empty.
	Class string
}

func words(names ...string) []column {
	cs := make([]column, len(names))
	for i, n := range names {
		cs[i] = column{Name: n}
	}
	return cs
}

func numbers(names ...string) []column {
	cs := words(names...)
	for i := range cs {
		cs[i].Number = true
	}
	return cs
}

// figures are cells without a class.
func figures(texts ...string) []cell {
	cs := make([]cell, len(texts))
	for i, t := range texts {
		cs[i] = cell{Text: t}
	}
	return cs
}

// or is the table, or that sentence where the table has no rows.
func (t table) or(sentence string) part {
	if len(t.Rows) == 0 {
		return given(sentence != "", paragraph(sentence))
	}
	return t.element()
}

func (t table) element() part {
	id := given(t.ID != "", attr{"id", t.ID})
	return tag("div", class("scroll"), tag("table", id,
		tag("thead", tag("tr", each(t.Head, column.head))),
		tag("tbody", each(t.Rows, t.row))))
}

func (c column) head() part {
	return tag("th", attr{"scope", "col"}, given(c.Number, class("n")), text(c.Name))
}

// row leaves out what the style sheet knows of a table of values, which can have
// many rows.
func (t table) row(r row) part {
	values := t.ID != ""
	cells := make(parts, len(r.Cells))
	for i, c := range r.Cells {
		switch {
		case i == 0:
			cells[i] = tag("th", given(!values, attr{"scope", "row"}), class(c.Class), text(c.Text))
		case t.Head[i].Number && !values:
			cells[i] = tag("td", classes("n", c.Class), text(c.Text))
		default:
			cells[i] = tag("td", class(c.Class), text(c.Text))
		}
	}
	return tag("tr", given(values, attr{"data-x", decimal(r.X)}), cells)
}
