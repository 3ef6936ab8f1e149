package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
)

// expand puts in the values of ${NAME} and returns the names. "$${" stands for "${"; any other "$" for itself.
func (s surroundings) expand(in string) (out string, names []string, err error) {
	var b strings.Builder
	for {
		i := strings.Index(in, "${")
		if i < 0 {
			return b.String() + in, names, nil
		}
		if i > 0 && in[i-1] == '$' {
			b.WriteString(in[:i-1] + "${")
			in = in[i+2:]
			continue
		}
		name, rest, closed := strings.Cut(in[i+2:], "}")
		if !closed || !validVariable(name) {
			return "", names, fmt.Errorf("%q: expected ${NAME}; $${ stands for ${ itself", in[i:])
		}
		value, ok := s.getenv(name)
		if !ok {
			return "", names, fmt.Errorf("${%s}: the variable is not set: expected a value in the environment", name)
		}
		b.WriteString(in[:i] + value)
		names, in = append(names, name), rest
	}
}

// validVariable reports whether name is one that shells can set.
func validVariable(name string) bool {
	for i, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', i > 0 && '0' <= c && c <= '9':
		default:
			return false
		}
	}
	return name != ""
}

// text expands n's value; where that is not possible it is told, and "" returned.
func (c *checker) text(n *node, key string) string {
	out, names, err := c.env.expand(n.value.(string))
	n.vars = names
	if err == nil && strings.ContainsRune(out, 0) {
		err = errors.New("expected a text without NUL")
	}
	if err != nil {
		c.errs.add(n.pos, key, "%v", err)
		return ""
	}
	return out
}

// path makes a path of the machine absolute. A variable that is set but empty is refused: "${DATA}/x" would be "/x".
func (c *checker) path(n *node, key string) (string, error) {
	given := n.value.(string)
	before := len(c.errs)
	out := c.text(n, key)
	if len(c.errs) > before {
		return "", nil
	}
	for _, name := range n.vars {
		if v, _ := c.env.getenv(name); v == "" {
			return "", fmt.Errorf("${%s} is empty: expected a path in it", name)
		}
	}
	if strings.HasPrefix(given, "~") {
		first, rest, _ := strings.Cut(out, "/")
		if first != "~" {
			return "", fmt.Errorf("%q: expected ~/… for your own home; homes of others are named by their path", given)
		}
		if !filepath.IsAbs(c.env.home) {
			return "", fmt.Errorf("%q: HOME is %q: expected an absolute path", given, c.env.home)
		}
		return filepath.Join(c.env.home, rest), nil
	}
	if !filepath.IsAbs(out) {
		out = filepath.Join(c.dir, filepath.FromSlash(out))
	}
	return filepath.Clean(out), nil
}

// cleanTarget checks a path in the container; "" has been told already.
func cleanTarget(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	clean := path.Clean(s)
	if !path.IsAbs(s) {
		return "", fmt.Errorf("%q: expected an absolute path in the container", s)
	}
	switch top, _, _ := strings.Cut(clean[1:], "/"); top {
	case "", "proc", "sys", "dev":
		return "", fmt.Errorf("%q: expected a directory of its own: / and what lies in /proc, /sys and /dev are the container's", s)
	}
	return clean, nil
}

// checkPattern refuses what git would not take as a pattern, and "!": what a layer hides or protects, no other layer
// may show or open.
func checkPattern(s string) error {
	if strings.HasPrefix(s, "!") {
		return fmt.Errorf("%q: expected a pattern without \"!\": the configuration can only add to the rules", s)
	}
	if strings.ContainsAny(s, "\r\n") {
		return fmt.Errorf("%q: expected one pattern, without a line break", s)
	}
	if _, err := dotfiles.New(dotfiles.Rules{ReadOnly: []dotfiles.Rule{{Pattern: s, Source: "this"}}}); err != nil {
		return fmt.Errorf("%w: expected a pattern as in .gitignore", err)
	}
	if strings.Trim(s, "/") == "" || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../") {
		return fmt.Errorf("%q matches nothing: expected a pattern as in .gitignore, relative without \"./\"", s)
	}
	return nil
}

func checkAgent(s string) error {
	if !dotfiles.ValidAgent(s) {
		return fmt.Errorf("%q: expected letters, digits, '_' and '-' only", s)
	}
	return nil
}

// capability returns a capability's name as engines take it: upper case, without CAP_.
func capability(s string) (string, error) {
	name := strings.TrimPrefix(strings.ToUpper(s), "CAP_")
	if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" || name == "" {
		return "", fmt.Errorf("%q: expected the name of a capability such as \"NET_ADMIN\", or \"ALL\"", s)
	}
	return name, nil
}

// parseDuration is time.ParseDuration with days, and without negative times.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok && err != nil {
		var n uint64
		if n, err = strconv.ParseUint(days, 10, 16); err == nil {
			d = time.Duration(n) * 24 * time.Hour
		}
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf(`%q: expected a time such as "500ms", "10s" or "30d", 0 or more`, s)
	}
	return d, nil
}

// ParseSize reads "512m", "1.5g", "4GiB": units are powers of 1024, as container engines read them.
func ParseSize(s string) (Size, error) {
	m := regexp.MustCompile(`^(?i)([0-9]+(?:\.[0-9]+)?) *(?:([kmgt])(?:i?b)?|b)?$`).FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf(`%q: expected a size such as "512m" or "4g"`, s)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	n *= math.Pow(1024, float64(1+strings.Index("kmgt", cmp.Or(strings.ToLower(m[2]), "-"))))
	if err != nil || n >= math.MaxInt64 {
		return 0, fmt.Errorf("%q: expected a size that a machine can have", s)
	}
	return positive(Size(n))
}

func positive[N Size | float64](n N) (N, error) {
	if !(n > 0) || math.IsInf(float64(n), 0) {
		return 0, fmt.Errorf("%v: expected more than 0", n)
	}
	return n, nil
}

func natural(n int64) (int, error) {
	if n < 1 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%d: expected 1 or more", n)
	}
	return int(n), nil
}

// mountText turns "SOURCE:TARGET[:ro|rw]" into the table that it stands for.
func (c *checker) mountText(n *node, f *field, key string) bool {
	parts := strings.Split(n.value.(string), ":")
	mode := "rw"
	if len(parts) == 3 {
		mode = parts[2]
	}
	switch {
	case len(parts) < 2 || len(parts) > 3 || mode != "ro" && mode != "rw":
		c.errs.add(n.pos, key, "%q: expected \"SOURCE:TARGET\" or \"SOURCE:TARGET:ro\"", n.value)
		return false
	case !strings.HasPrefix(parts[0], "/") && !strings.HasPrefix(parts[0], ".") && !strings.HasPrefix(parts[0], "~") && !strings.HasPrefix(parts[0], "${"):
		c.errs.add(n.pos, key, "%q: expected a directory of the machine as the source; one beside this file is \"./%s\"", n.value, parts[0])
		return false
	}
	part := func(k kind, v any) *node { return &node{kind: k, value: v, pos: n.pos, key: n.pos} }
	n.kind, n.value = table, nil
	n.table = map[string]*node{"source": part(text, parts[0]), "target": part(text, parts[1])}
	if mode == "ro" {
		n.table["readonly"] = part(boolean, true)
	}
	return true
}
