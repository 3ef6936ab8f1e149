package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Value is one setting of the merged configuration, and where it comes from.
type Value struct {
	Key   string
	Value any // string, int, float64 or bool
	At    Pos
	Layer Layer
}

// Values lists all that the files say, in the order of the grammar: one for each scalar and each element of a list.
// What extends and includes said is in Files.
func (m *Merged) Values() []Value {
	g := grammar()
	var out []Value
	for i := range g.fields {
		f := &g.fields[i]
		if n := m.root.table[f.name]; n != nil && f.name != "extends" && f.name != "includes" {
			out = appendValues(out, n, f, f.name)
		}
	}
	return out
}

func appendValues(out []Value, n *node, f *field, key string) []Value {
	switch {
	case n.kind == list:
		for i, e := range n.elems {
			out = appendValues(out, e, f.elem, indexed(key, i))
		}
	case n.kind == table && f.elem != nil:
		for _, name := range n.keys() {
			out = appendValues(out, n.table[name], f.elem, dotted(key, name))
		}
	case n.kind == table:
		for i := range f.fields {
			if child := n.table[f.fields[i].name]; child != nil {
				out = appendValues(out, child, &f.fields[i], dotted(key, f.fields[i].name))
			}
		}
	default:
		value := plain(n.value)
		out = append(out, Value{Key: key, Value: value, At: n.pos, Layer: n.layer})
	}
	return out
}

// plain is a value as a file could say it.
func plain(v any) any {
	switch v := v.(type) {
	case time.Duration:
		return v.String()
	case Size:
		return fmt.Sprintf("%db", v)
	case Env:
		if v.Pass {
			return true
		}
		return v.Value
	}
	return v
}

func literal(v any) string {
	if s, ok := v.(string); ok {
		return tomlString(s)
	}
	return fmt.Sprint(v)
}

// tomlString quotes s as TOML does: as JSON, but for the letters of escapes that JSON lacks.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < 0x20 || !strconv.IsPrint(r):
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

// TOML writes the merged configuration as a file, with the place that each line comes from behind it.
func (m *Merged) TOML() string {
	w := &writer{}
	g := grammar()
	for i := range g.fields {
		if name := g.fields[i].name; name != "extends" && name != "includes" {
			w.field(m.root.table[name], &g.fields[i], "")
		}
	}
	return w.top.String() + w.tables.String()
}

// writer keeps the tables behind the keys of the top, as TOML wants it.
type writer struct{ top, tables strings.Builder }

func (w *writer) field(n *node, f *field, under string) {
	b := &w.top
	if under != "" {
		b = &w.tables
	}
	switch {
	case n == nil:
	case f.elem != nil && len(f.elem.fields) > 0:
		for _, e := range n.elems {
			fmt.Fprintf(&w.tables, "\n[[%s]]\n", f.name)
			w.fields(e, f.elem, f.name)
		}
	case n.kind == table && f.elem != nil:
		fmt.Fprintf(&w.tables, "\n[%s]\n", f.name)
		for _, name := range n.keys() {
			line(&w.tables, dotted("", name)+" = ", n.table[name], "")
		}
	case n.kind == table:
		fmt.Fprintf(&w.tables, "\n[%s]\n", f.name)
		w.fields(n, f, f.name)
	case n.kind == list:
		fmt.Fprintf(b, "%s = [\n", f.name)
		for _, e := range n.elems {
			line(b, "    ", e, ",")
		}
		b.WriteString("]\n")
	default:
		line(b, f.name+" = ", n, "")
	}
}

func (w *writer) fields(n *node, f *field, under string) {
	for i := range f.fields {
		w.field(n.table[f.fields[i].name], &f.fields[i], under)
	}
}

func line(b *strings.Builder, before string, n *node, after string) {
	fmt.Fprintf(b, "%s%s%s  # %s\n", before, literal(plain(n.value)), after, printable(n.pos.short()))
}

// printable keeps a file's name from ending the comment that it stands in.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
