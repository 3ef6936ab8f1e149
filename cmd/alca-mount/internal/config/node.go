package config

import (
	"cmp"
	"maps"
	"slices"
)

// kind is what a value is in TOML.
type kind int

const (
	text kind = iota
	integer
	float
	boolean
	date
	list
	table
)

func (k kind) String() string {
	return [...]string{"a text", "an integer", "a number with a fraction", "true or false", "a date or time", "a list", "a table"}[k]
}

// node is a value of a file and where it stands.
type node struct {
	kind  kind
	value any // string, int64, float64, bool; once checked what its key's type is
	pos   Pos // of the value
	key   Pos // of the key that names it
	elems []*node
	table map[string]*node

	vars  []string // the variables of the environment that the value was made of
	layer Layer
}

func newTable(at Pos) *node { return &node{kind: table, pos: at, key: at, table: map[string]*node{}} }

// keys are a table's keys in the order in which they stand.
func (n *node) keys() []string {
	names := slices.Sorted(maps.Keys(n.table))
	slices.SortStableFunc(names, func(a, b string) int {
		p, q := n.table[a].key, n.table[b].key
		return cmp.Or(cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
	})
	return names
}

// at returns what stands under keys, or nil.
func (n *node) at(keys ...string) *node {
	for _, k := range keys {
		if n == nil {
			return nil
		}
		n = n.table[k]
	}
	return n
}

// each calls f for n and all below it, with their dotted keys.
func (n *node) each(key string, f func(key string, n *node)) {
	f(key, n)
	for _, k := range n.keys() {
		n.table[k].each(dotted(key, k), f)
	}
	for i, e := range n.elems {
		e.each(indexed(key, i), f)
	}
}
