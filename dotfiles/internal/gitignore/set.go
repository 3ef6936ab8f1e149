package gitignore

import "strings"

// set is the bytes that a bracket expression matches, one bit each.
type set [4]uint64

func (s *set) add(c byte)      { s[c>>6] |= 1 << (c & 63) }
func (s *set) has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }

func (s *set) addRange(from, to byte) {
	for c := int(from); c <= int(to); c++ {
		s.add(byte(c))
	}
}

// scanSet reads a bracket expression of which the "[" was read, and returns how many bytes it takes with its "]".
// The first byte after "[" or "[!" is literal, also a "]". A range whose end lies before its start matches its start,
// as git has it.
func scanSet(text string, fold bool) (*set, int, error) {
	var s set
	i := 0
	negate := text != "" && (text[0] == '!' || text[0] == '^')
	if negate {
		i++
	}
	for first := i; ; {
		if i >= len(text) {
			return nil, 0, ErrUnclosedBracket
		}
		if text[i] == ']' && i > first {
			break
		}
		n, err := s.addElement(text[i:])
		if err != nil {
			return nil, 0, err
		}
		i += n
	}
	if fold {
		s.closeCase()
	}
	if negate {
		for w := range s {
			s[w] = ^s[w]
		}
	}
	return &s, i + 1, nil
}

// addElement adds a class, a range or a byte, and returns its length in text.
func (s *set) addElement(text string) (int, error) {
	if strings.HasPrefix(text, "[:") {
		name, ok, err := className(text)
		if err != nil {
			return 0, err
		}
		if ok {
			return len(name) + len("[::]"), s.addClass(name)
		}
	}
	from, n, err := element(text)
	if err != nil {
		return 0, err
	}
	s.add(from)
	rest := text[n:]
	if len(rest) < 2 || rest[0] != '-' || rest[1] == ']' {
		return n, nil
	}
	to, m, err := element(rest[1:])
	if err != nil {
		return 0, err
	}
	s.addRange(from, to)
	return n + 1 + m, nil
}

// element is one byte, perhaps quoted.
func element(text string) (c byte, n int, err error) {
	if text[0] != '\\' {
		return text[0], 1, nil
	}
	if len(text) < 2 {
		return 0, 0, ErrUnclosedBracket
	}
	return text[1], 2, nil
}

// className looks for "[:name:]". Where the next "]" has no ":" of its own before it, the "[" is a plain byte.
func className(text string) (name string, ok bool, err error) {
	end := strings.IndexByte(text[2:], ']')
	if end < 0 {
		return "", false, ErrUnclosedBracket
	}
	name, ok = strings.CutSuffix(text[2:2+end], ":")
	return name, ok, nil
}

func (s *set) addClass(name string) error {
	has, ok := classOf(name)
	if !ok {
		return ErrUnknownClass
	}
	for c := range 128 { // bytes above ASCII are in no class
		if has(byte(c)) {
			s.add(byte(c))
		}
	}
	return nil
}

func classOf(name string) (func(byte) bool, bool) {
	has, ok := map[string]func(byte) bool{
		"alnum":  func(c byte) bool { return isAlpha(c) || isDigit(c) },
		"alpha":  isAlpha,
		"blank":  func(c byte) bool { return c == ' ' || c == '\t' },
		"cntrl":  func(c byte) bool { return c < ' ' || c == 0x7f },
		"digit":  isDigit,
		"graph":  func(c byte) bool { return c > ' ' && c < 0x7f },
		"lower":  isLower,
		"print":  func(c byte) bool { return c >= ' ' && c < 0x7f },
		"punct":  func(c byte) bool { return c > ' ' && c < 0x7f && !isAlpha(c) && !isDigit(c) },
		"space":  func(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' },
		"upper":  isUpper,
		"xdigit": func(c byte) bool { return isDigit(c) || 'a' <= lowerByte(c) && lowerByte(c) <= 'f' },
	}[name]
	return has, ok
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isAlpha(c byte) bool { return isUpper(c) || isLower(c) }

// closeCase adds the other case of each letter. git does so for ranges and classes only; a set that misses "[A]"
// for "a" would show a file that the file system gives out under either name.
func (s *set) closeCase() {
	for c := byte('a'); c <= 'z'; c++ {
		if s.has(c) || s.has(c-'a'+'A') {
			s.add(c)
			s.add(c - 'a' + 'A')
		}
	}
}
