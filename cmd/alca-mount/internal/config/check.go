package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// checker holds one file against the grammar, and turns its values into those of their keys.
type checker struct {
	grammar field
	dir     string // what relative paths are relative to
	layer   Layer
	env     surroundings
	errs    Errors
}

// surroundings are what values may be made of besides the file.
type surroundings struct {
	home   string
	getenv func(string) (string, bool)
}

func (c *checker) value(n *node, f *field, key string) {
	n.layer = c.layer
	if f.one && n.kind == text {
		one := *n
		*n = node{kind: list, pos: n.pos, key: n.key, layer: n.layer, elems: []*node{&one}}
	}
	if f.in == "user" && c.layer != User {
		c.errs.add(n.key, key, "only the user's own configuration may say it")
		return
	}
	switch {
	case f.typ.Kind() == reflect.Struct:
		c.table(n, f, key)
	case f.typ.Kind() == reflect.Map:
		c.freeTable(n, f, key)
	case f.typ.Kind() == reflect.Slice:
		c.list(n, f, key)
	default:
		c.scalar(n, f, key)
	}
}

func (c *checker) mismatch(n *node, f *field, key string) {
	c.errs.add(n.pos, key, "expected %s, got %s", f.expected(), n.kind)
}

func (c *checker) table(n *node, f *field, key string) {
	if f.typ == reflect.TypeFor[Mount]() && n.kind == text {
		if !c.mountText(n, f, key) {
			return
		}
	}
	if n.kind != table {
		c.mismatch(n, f, key)
		return
	}
	for _, name := range n.keys() {
		sub, child := f.get(name), n.table[name]
		if sub == nil {
			c.unknown(child, f, key, name)
			continue
		}
		c.value(child, sub, dotted(key, name))
	}
	for i := range f.fields {
		if name := f.fields[i].name; f.fields[i].need && n.table[name] == nil {
			c.errs.add(n.pos, key, "%s is missing: expected %s", name, f.expected())
		}
	}
}

func (c *checker) unknown(n *node, f *field, key, name string) {
	text := "unknown key"
	if near := nearest(&c.grammar, f, key, name); near != "" {
		text += "; did you mean " + near + "?"
	} else {
		text += "; expected one of " + strings.Join(names(f), ", ")
	}
	c.errs.add(n.key, dotted(key, name), "%s", text)
}

func names(f *field) []string {
	var out []string
	for i := range f.fields {
		out = append(out, f.fields[i].name)
	}
	slices.Sort(out)
	return out
}

func (c *checker) freeTable(n *node, f *field, key string) {
	if n.kind != table {
		c.mismatch(n, f, key)
		return
	}
	for _, name := range n.keys() {
		c.variable(n.table[name], f.elem, dotted(key, name), name)
	}
}

func (c *checker) list(n *node, f *field, key string) {
	if n.kind != list {
		c.mismatch(n, f, key)
		return
	}
	for i, e := range n.elems {
		c.value(e, f.elem, indexed(key, i))
	}
}

// variable checks one of the command's environment.
func (c *checker) variable(n *node, f *field, key, name string) {
	n.layer = c.layer
	switch {
	case !validVariable(name):
		c.errs.add(n.key, key, "expected letters, digits and '_' as the variable's name")
	case strings.HasPrefix(name, "ALCA_MOUNT"):
		c.errs.add(n.key, key, "ALCA_MOUNT variables are alca-mount's to set: expected another name")
	}
	switch {
	case n.kind == text:
		n.value = Env{Value: c.text(n, key)}
	case n.kind == boolean && n.value == true:
		n.value = Env{Pass: true}
	default:
		c.mismatch(n, f, key)
	}
}

func (c *checker) scalar(n *node, f *field, key string) {
	var err error
	switch {
	case f.typ == reflect.TypeFor[time.Duration]() && n.kind == text:
		n.value, err = parseDuration(n.value.(string))
	case f.typ == reflect.TypeFor[Size]() && n.kind == text:
		n.value, err = ParseSize(n.value.(string))
	case f.typ == reflect.TypeFor[Size]() && n.kind == integer:
		n.value, err = positive(Size(n.value.(int64)))
	case f.typ.Kind() == reflect.Bool && n.kind == boolean:
	case f.typ.Kind() == reflect.Int && n.kind == integer:
		n.value, err = natural(n.value.(int64))
	case f.typ.Kind() == reflect.Float64 && n.kind == integer:
		n.value, err = positive(float64(n.value.(int64)))
	case f.typ.Kind() == reflect.Float64 && n.kind == float:
		n.value, err = positive(n.value.(float64))
	case f.typ.Kind() == reflect.String && n.kind == text:
		c.word(n, f, key)
	default:
		c.mismatch(n, f, key)
	}
	if err != nil {
		c.errs.add(n.pos, key, "%v", err)
	}
}

// word checks a text that is none of the above.
func (c *checker) word(n *node, f *field, key string) {
	s := n.value.(string)
	if len(f.enum) > 0 {
		if !slices.Contains(f.enum, s) {
			c.errs.add(n.pos, key, "%q: expected one of %s", s, quoted(f.enum))
		}
		return
	}
	if s == "" {
		c.errs.add(n.pos, key, "expected %s that is not empty", text)
		return
	}
	if strings.ContainsRune(s, 0) {
		c.errs.add(n.pos, key, "expected a text without NUL")
		return
	}
	var err error
	switch f.as {
	case "path":
		n.value, err = c.path(n, key)
	case "target":
		n.value, err = cleanTarget(c.text(n, key))
	case "text":
		n.value = c.text(n, key)
		if n.value == "" {
			err = fmt.Errorf("%q is empty once the variables are put in", s)
		}
	case "inside":
		err = checkInside(s)
	case "pattern":
		err = checkPattern(s)
	case "agent":
		err = checkAgent(s)
	case "capability":
		n.value, err = capability(s)
	}
	if err != nil {
		c.errs.add(n.pos, key, "%v", err)
	}
}

// checkInside refuses a path that is not below the project.
func checkInside(s string) error {
	if p, err := safety.ParseRelPath(s); err != nil || p == safety.Top {
		return fmt.Errorf("%q: expected a path below the project, such as \"node_modules\"", s)
	}
	return nil
}
