package dotfiles

import "strings"

// DerivedOf returns the hidden name that name is a derivative of (an editor's backup, swap or temporary file), given a
// way to ask whether a sibling name is hidden; else "". For a name N these are
//
//	N~  N.~1~  N.bak  N.backup  N.old  N.orig  N.save  .N.sw?  .N.kate-swp  #N#  .#N  .N.un~
//	N.tmp* (not N.tmpl)  .N.XXXXXX  N___jb_*
//
// and, where N itself begins with a dot, N.sw? and N.XXXXXX, as vim and rsync put no second dot before it; there the
// six letters must look random, so that .env.sample is no derivative of .env.
func DerivedOf(name string, hidden func(string) bool) string {
	// Called one by one and not from a table: so the closure does not escape, and a walk does not allocate.
	if n := ofBackup(name, hidden); n != "" {
		return n
	}
	if n := ofDotted(name, hidden); n != "" {
		return n
	}
	if n := ofTemporary(name, ".tmp", hidden); n != "" {
		return n
	}
	return ofTemporary(name, "___jb_", hidden)
}

// mayBeDerived is a quick look that spares nearly all names the search.
func mayBeDerived(name string) bool {
	last := name[len(name)-1]
	return name[0] == '.' || last == '~' || backedUp(name) != "" || last == '#' || strings.Contains(name, ".tmp") || strings.Contains(name, "___jb_")
}

// ask returns n if it is a name and hidden.
func ask(n string, hidden func(string) bool) string {
	if n == "" || n == "." || n == ".." || !hidden(n) {
		return ""
	}
	return n
}

// backedUp is the name of which people and programs that spell it out make backups called name; "" for other names.
func backedUp(name string) string {
	dot := max(strings.LastIndexByte(name, '.'), 0)
	switch name[dot:] {
	case ".bak", ".backup", ".old", ".orig", ".save":
		return name[:dot]
	}
	return ""
}

// ofBackup knows N~, N.~1~, #N#, and N.bak and its like.
func ofBackup(name string, hidden func(string) bool) string {
	if n := ask(backedUp(name), hidden); n != "" {
		return n
	}
	if inner, ok := strings.CutPrefix(name, "#"); ok {
		if inner, ok := strings.CutSuffix(inner, "#"); ok {
			return ask(inner, hidden)
		}
	}
	stem, ok := strings.CutSuffix(name, "~")
	if !ok {
		return ""
	}
	if n := ask(stem, hidden); n != "" {
		return n
	}
	stem = strings.TrimRight(stem, "0123456789")
	if stem, ok = strings.CutSuffix(stem, ".~"); ok {
		return ask(stem, hidden)
	}
	return ""
}

// ofDotted knows what begins with a dot: .#N, .N.un~, .N.kate-swp, .N.sw? and .N.XXXXXX.
func ofDotted(name string, hidden func(string) bool) string {
	if name == "" || name[0] != '.' {
		return ""
	}
	if n, ok := strings.CutPrefix(name, ".#"); ok {
		return ask(n, hidden)
	}
	for _, end := range [...]string{".un~", ".kate-swp"} {
		if n, ok := strings.CutSuffix(name[1:], end); ok {
			return ask(n, hidden)
		}
	}
	dot := strings.LastIndexByte(name, '.')
	if dot == 0 {
		return ""
	}
	stem, end := name[:dot], name[dot+1:]
	swap := len(end) == 3 && end[:2] == "sw"
	if swap || isRandom(end) {
		if n := ask(stem[1:], hidden); n != "" {
			return n
		}
	}
	if swap || looksRandom(end) {
		return ask(stem, hidden)
	}
	return ""
}

// isRandom reports whether s can be the six letters of a temporary name.
func isRandom(s string) bool {
	for _, c := range []byte(s) {
		if c = lowerASCII(c); (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(s) == 6
}

// looksRandom asks further for letters or digits of two sorts: a word has one. One in two hundred random names is
// missed.
func looksRandom(s string) bool {
	var lower, upper, digit int
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z':
			lower = 1
		case 'A' <= c && c <= 'Z':
			upper = 1
		default:
			digit = 1
		}
	}
	return isRandom(s) && lower+upper+digit > 1
}

// ofTemporary knows N, mark and anything, at each place where the mark stands.
func ofTemporary(name, mark string, hidden func(string) bool) string {
	for from := 0; ; {
		i := strings.Index(name[from:], mark)
		if i < 0 {
			return ""
		}
		i += from
		from = i + len(mark)
		if isTemplate(name[i:]) {
			continue
		}
		if n := ask(name[:i], hidden); n != "" {
			return n
		}
	}
}

// isTemplate tells .env.tmpl, which is written for others to read, from a temporary name.
func isTemplate(end string) bool { return end == ".tmpl" || strings.HasPrefix(end, ".tmpl.") }
