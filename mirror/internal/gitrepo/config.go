package gitrepo

import (
	"errors"
	"fmt"
	"strings"
)

// setting is one line of a git config file. Section and key are in lower case, the subsection is as written.
type setting struct {
	section, subsection, key, value string
	noValue                         bool // "key" alone, which means true
}

// config is settings in the order in which they apply: of several the last one holds.
type config []setting

// get returns the value that holds, or "".
func (c config) get(section, subsection, key string) string {
	for i := len(c) - 1; i >= 0; i-- {
		if e := c[i]; e.section == section && e.subsection == subsection && e.key == key {
			return e.value
		}
	}
	return ""
}

// getBool is get for a truth value; what is no truth value is false.
func (c config) getBool(section, subsection, key string) bool {
	for i := len(c) - 1; i >= 0; i-- {
		if e := c[i]; e.section == section && e.subsection == subsection && e.key == key {
			return e.noValue || isTrue(e.value)
		}
	}
	return false
}

func isTrue(v string) bool {
	switch strings.ToLower(v) {
	case "true", "yes", "on":
		return true
	}
	return v != "" && strings.Trim(v, "0123456789") == "" && strings.Trim(v, "0") != ""
}

var errConfigSyntax = errors.New("bad git config")

// configParser walks over the text of one file as described in git-config(1), "Syntax".
type configParser struct {
	text                string
	line                int
	section, subsection string
	out                 config
}

// parseConfig parses one file. Includes are entries like any other; nothing is followed here.
func parseConfig(data []byte) (config, error) {
	text := strings.TrimPrefix(string(data), "\xef\xbb\xbf")
	p := &configParser{text: strings.ReplaceAll(text, "\r\n", "\n"), line: 1}
	for p.text != "" {
		if err := p.next(); err != nil {
			return nil, fmt.Errorf("line %d: %w", p.line, err)
		}
	}
	return p.out, nil
}

// next consumes one construct: blank space, a comment, a section header or a setting.
func (p *configParser) next() error {
	switch c := p.text[0]; {
	case c == '\n':
		p.line++
		p.text = p.text[1:]
	case isBlank(c):
		p.text = p.text[1:]
	case c == '#' || c == ';':
		p.skipLine()
	case c == '[':
		return p.header()
	case isAlpha(c):
		return p.setting()
	default:
		return errConfigSyntax
	}
	return nil
}

func (p *configParser) skipLine() {
	_, rest, found := strings.Cut(p.text, "\n")
	p.text = rest
	if found {
		p.line++
	}
}

// header parses [section], [section "subsection"] and the old [section.subsection].
func (p *configParser) header() error {
	i := 1
	for i < len(p.text) && (isAlpha(p.text[i]) || isDigit(p.text[i]) || p.text[i] == '-' || p.text[i] == '.') {
		i++
	}
	name := strings.ToLower(p.text[1:i])
	p.text = p.text[i:]
	p.section, p.subsection, _ = strings.Cut(name, ".")
	rest := strings.TrimLeft(p.text, " \t")
	if strings.HasPrefix(rest, `"`) && len(rest) < len(p.text) {
		p.text = rest[1:]
		return p.quotedSubsection()
	}
	if !strings.HasPrefix(p.text, "]") {
		return errConfigSyntax
	}
	p.text = p.text[1:]
	return nil
}

func (p *configParser) quotedSubsection() error {
	var b strings.Builder
	for i := 0; i < len(p.text); i++ {
		switch c := p.text[i]; c {
		case '\n':
			return errConfigSyntax
		case '"':
			p.subsection = b.String()
			rest, ok := strings.CutPrefix(p.text[i+1:], "]")
			if !ok {
				return errConfigSyntax
			}
			p.text = rest
			return nil
		case '\\':
			i++
			if i == len(p.text) || p.text[i] == '\n' {
				return errConfigSyntax
			}
			b.WriteByte(p.text[i])
		default:
			b.WriteByte(c)
		}
	}
	return errConfigSyntax
}

// setting parses "key", "key =" and "key = value".
func (p *configParser) setting() error {
	i := 0
	for i < len(p.text) && (isAlpha(p.text[i]) || isDigit(p.text[i]) || p.text[i] == '-') {
		i++
	}
	s := setting{section: p.section, subsection: p.subsection, key: strings.ToLower(p.text[:i])}
	p.text = strings.TrimLeft(p.text[i:], " \t")
	switch {
	case p.section == "":
		return errConfigSyntax
	case p.text == "" || p.text[0] == '\n':
		s.noValue = true
	case p.text[0] == '=':
		p.text = p.text[1:]
		v, err := p.value()
		if err != nil {
			return err
		}
		s.value = v
	default:
		return errConfigSyntax
	}
	p.out = append(p.out, s)
	return nil
}

// value parses up to the end of the line: quotes, escapes, continuation lines, comments; blanks at both ends go.
func (p *configParser) value() (string, error) {
	var b strings.Builder
	quoted, keep := false, 0
	for i := 0; i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case c == '\n' && quoted:
			return "", errConfigSyntax
		case c == '\n' || (!quoted && (c == '#' || c == ';')):
			p.text = p.text[i:]
			if c != '\n' {
				p.skipLine()
			}
			return b.String()[:keep], nil
		case c == '"':
			quoted = !quoted
			keep = b.Len()
		case c == '\\':
			i++
			if i == len(p.text) {
				return "", errConfigSyntax
			}
			esc, ok := unescape(p.text[i])
			if !ok {
				return "", errConfigSyntax
			}
			if esc == 0 {
				p.line++
			} else {
				b.WriteByte(esc)
			}
			keep = b.Len()
		case !quoted && isBlank(c):
			if b.Len() > 0 {
				b.WriteByte(c)
			}
		default:
			b.WriteByte(c)
			keep = b.Len()
		}
	}
	p.text = ""
	if quoted {
		return "", errConfigSyntax
	}
	return b.String()[:keep], nil
}

// unescape returns what \c stands for; 0 for a continued line.
func unescape(c byte) (byte, bool) {
	switch c {
	case '\n':
		return 0, true
	case 't':
		return '\t', true
	case 'b':
		return '\b', true
	case 'n':
		return '\n', true
	case '\\', '"':
		return c, true
	}
	return 0, false
}

func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' && c != '\n' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// encode writes the settings so that parseConfig and git read exactly them back: every value is quoted, so that
// none can end its line and start another setting.
func (c config) encode() []byte {
	var b strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\b", `\b`)
	header := ""
	for _, e := range c {
		h := "[" + e.section + "]\n"
		if e.subsection != "" {
			h = "[" + e.section + ` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(e.subsection) + "\"]\n"
		}
		if h != header {
			b.WriteString(h)
			header = h
		}
		if e.noValue {
			e.value = "true"
		}
		b.WriteString("\t" + e.key + ` = "` + escape.Replace(e.value) + "\"\n")
	}
	return []byte(b.String())
}
