package report

import (
	"strings"

	"golang.org/x/net/html"
)

// part is what an element is made of: attributes, texts and other elements.
// The page is built of these and not with html/template, whose calls of methods
// by name keep every method of every type in the program: it would be half as
// large again, and it is copied to every host.
type part interface {
	addTo(parent *html.Node)
}

// element is a tag with what is in it.
type element html.Node

// tag is an element of that name.
func tag(name string, in ...part) *element {
	n := &html.Node{Type: html.ElementNode, Data: name}
	parts(in).addTo(n)
	return (*element)(n)
}

func (e *element) addTo(parent *html.Node) { parent.AppendChild((*html.Node)(e)) }

// text is escaped where it is written, but in script and style, which are for
// this package's own files only.
type text string

func (t text) addTo(parent *html.Node) {
	if t != "" {
		parent.AppendChild(&html.Node{Type: html.TextNode, Data: string(t)})
	}
}

// attr is an attribute; its value is escaped where it is written. Keys are
// constants, and never those that take code or an address.
type attr struct{ key, value string }

func (a attr) addTo(parent *html.Node) {
	parent.Attr = append(parent.Attr, html.Attribute{Key: a.key, Val: a.value})
}

// class is no attribute at all where every name is empty.
type class string

// classes are several names, of which any can be empty.
func classes(names ...string) class { return class(strings.Join(names, " ")) }

func (c class) addTo(parent *html.Node) {
	if names := strings.Join(strings.Fields(string(c)), " "); names != "" {
		attr{"class", names}.addTo(parent)
	}
}

// at places an element percent of the way from an edge. No other style is ever set.
type at struct {
	edge    string
	percent float64
}

func (a at) addTo(parent *html.Node) {
	attr{"style", a.edge + ":" + decimal(a.percent) + "%"}.addTo(parent)
}

// hidden is for what a screen reader skips, because it has it elsewhere.
func hidden() part { return attr{"aria-hidden", "true"} }

// parts stand one after the other, or are none.
type parts []part

func (ps parts) addTo(parent *html.Node) {
	for _, p := range ps {
		p.addTo(parent)
	}
}

// given is nothing where it is not so.
func given(so bool, ps ...part) parts {
	if !so {
		return nil
	}
	return ps
}

// each is a part for each item.
func each[T any](items []T, show func(T) part) parts {
	ps := make(parts, len(items))
	for i, item := range items {
		ps[i] = show(item)
	}
	return ps
}
