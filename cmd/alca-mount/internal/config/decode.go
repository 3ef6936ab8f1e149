package config

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// decode reads TOML. The library's decoder says whether it is TOML at all; its syntax tree says where everything stands,
// which the decoder tells of the first error only.
func decode(data []byte, file string) (*node, Errors) {
	var errs Errors
	if !utf8.Valid(data) {
		errs.add(Pos{File: file, Line: 1 + strings.Count(string(data[:validPrefix(data)]), "\n"), Column: 1}, "", "not UTF-8: expected a TOML file")
		return nil, errs
	}
	var whole map[string]any
	if err := toml.Unmarshal(data, &whole); err != nil {
		errs = append(errs, syntaxError(file, data, err))
		return nil, errs
	}
	r := &reader{file: file, data: data, root: newTable(Pos{File: file})}
	r.parser.Reset(data)
	at := r.root
	for r.parser.NextExpression() {
		e := r.parser.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			at = r.header(e)
		case unstable.KeyValue:
			r.keyValue(at, e)
		}
	}
	return r.root, r.errs
}

// validPrefix is how many bytes are UTF-8 before the first that is not.
func validPrefix(data []byte) int {
	n := 0
	for n < len(data) {
		r, size := utf8.DecodeRune(data[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}

func syntaxError(file string, data []byte, err error) Error {
	e := Error{Pos: Pos{File: file, Line: 1, Column: 1}, Text: "not TOML: " + strings.TrimPrefix(err.Error(), "toml: ")}
	var de *toml.DecodeError
	if errors.As(err, &de) {
		e.Line, e.Column = de.Position()
		e.Key = strings.Join(de.Key(), ".")
	}
	if e.Key == "" {
		e.Key = keyAbove(strings.Split(string(data), "\n"), e.Line)
	}
	return e
}

// keyAbove is the key of the last assignment up to a line: where a text or a list is not closed, what is found wrong
// stands below it.
func keyAbove(lines []string, line int) string {
	for i := min(line, len(lines)) - 1; i >= 0; i-- {
		key, _, found := strings.Cut(lines[i], "=")
		if key = strings.TrimSpace(key); found && key != "" && len(key) <= longestKey && !strings.ContainsAny(key, "#[]{},") {
			return key
		}
	}
	return ""
}

// reader makes nodes of the parser's expressions.
type reader struct {
	parser unstable.Parser
	file   string
	data   []byte
	root   *node
	errs   Errors
}

// where is the place of an offset. It counts from the top each time: files are small.
func (r *reader) where(offset uint32) Pos {
	before := string(r.data[:offset])
	return Pos{File: r.file, Line: strings.Count(before, "\n") + 1, Column: len(before) - strings.LastIndexByte(before, '\n')}
}

// header goes to the table that a [header] or [[header]] names, and makes it.
func (r *reader) header(e *unstable.Node) *node {
	at := r.root
	it := e.Key()
	for it.Next() {
		k := it.Node()
		if it.IsLast() && e.Kind == unstable.ArrayTable {
			return r.append(at, k)
		}
		at = r.down(at, k)
	}
	return at
}

// down is the table under key in at; of a list of tables the last.
func (r *reader) down(at *node, key *unstable.Node) *node {
	pos := r.where(key.Raw.Offset)
	next := at.table[string(key.Data)]
	if next == nil {
		next = newTable(pos)
		at.table[string(key.Data)] = next
	}
	if next.kind == list && len(next.elems) > 0 {
		next = next.elems[len(next.elems)-1]
	}
	if next.kind != table { // the decoder has refused it before
		r.errs.add(pos, string(key.Data), "defined twice")
		return newTable(pos)
	}
	return next
}

// append adds a table to the list under key.
func (r *reader) append(at *node, key *unstable.Node) *node {
	pos := r.where(key.Raw.Offset)
	l := at.table[string(key.Data)]
	if l == nil {
		l = &node{kind: list, pos: pos, key: pos}
		at.table[string(key.Data)] = l
	}
	t := newTable(pos)
	l.elems = append(l.elems, t)
	return t
}

func (r *reader) keyValue(at *node, e *unstable.Node) {
	it := e.Key()
	for it.Next() {
		k := it.Node()
		if !it.IsLast() {
			at = r.down(at, k)
			continue
		}
		pos := r.where(k.Raw.Offset)
		if at.table[string(k.Data)] != nil {
			r.errs.add(pos, string(k.Data), "defined twice")
		}
		at.table[string(k.Data)] = r.value(e.Value(), pos)
	}
}

// value makes a node of a value that is named by a key at key.
func (r *reader) value(v *unstable.Node, key Pos) *node {
	n := &node{pos: key, key: key}
	if v.Raw.Length > 0 {
		n.pos = r.where(v.Raw.Offset)
	}
	switch v.Kind {
	case unstable.Array:
		n.kind = list
		for it := v.Children(); it.Next(); {
			n.elems = append(n.elems, r.value(it.Node(), n.pos))
		}
	case unstable.InlineTable:
		n.kind, n.table = table, map[string]*node{}
		for it := v.Children(); it.Next(); {
			r.keyValue(n, it.Node())
		}
	default:
		n.kind, n.value = scalar(v)
	}
	return n
}

func scalar(v *unstable.Node) (kind, any) {
	plain := strings.ReplaceAll(string(v.Data), "_", "")
	switch v.Kind {
	case unstable.String:
		return text, string(v.Data)
	case unstable.Bool:
		return boolean, plain == "true"
	case unstable.Integer:
		i, _ := strconv.ParseInt(strings.TrimPrefix(plain, "+"), base(plain), 64) // the decoder has read it before
		return integer, i
	case unstable.Float:
		f, _ := strconv.ParseFloat(plain, 64)
		return float, f
	}
	return date, nil
}

// base is 0, for a prefix as in Go, but where there is none: a leading 0 is no octal in TOML.
func base(digits string) int {
	if len(digits) > 1 && digits[0] == '0' {
		return 0
	}
	return 10
}
