package config

import "maps"

// merge lays high over low: tables by key, lists one behind the other, of two scalars the higher. Both stay as they are.
// What came in on two ways (a file that two others extend) stands once.
func merge(low, high *node) *node {
	if low == nil {
		return high
	}
	if high == nil || low.kind != high.kind {
		return cmpNode(high, low)
	}
	out := *high
	switch high.kind {
	case table:
		out.table = maps.Clone(low.table)
		for k, n := range high.table {
			out.table[k] = merge(low.table[k], n)
		}
	case list:
		out.elems = append([]*node(nil), low.elems...)
		seen := map[Pos]bool{}
		for _, e := range low.elems {
			seen[e.pos] = true
		}
		for _, e := range high.elems {
			if !seen[e.pos] {
				out.elems = append(out.elems, e)
			}
		}
	}
	return &out
}

func cmpNode(a, b *node) *node {
	if a != nil {
		return a
	}
	return b
}
