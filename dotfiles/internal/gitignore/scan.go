package gitignore

// token is one element of a glob.
type token struct {
	kind tokenKind
	b    byte // of a byteToken
	set  *set // of a setToken
}

type tokenKind uint8

const (
	byteToken tokenKind = iota
	anyToken            // "?": one byte
	starToken           // "*": any bytes
	setToken            // "[…]": one byte of a set
	slashToken
	quotedSlashToken // "\/": as a slash, but "**" before it matches one directory or more
)

// scan splits a pattern into tokens. A bracket expression is one token, also when a slash stands in it
// (which then matches nothing, as no name holds one).
func scan(text string, fold bool) ([]token, error) {
	tokens := make([]token, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '*':
			tokens = append(tokens, token{kind: starToken})
		case '?':
			tokens = append(tokens, token{kind: anyToken})
		case '/':
			tokens = append(tokens, token{kind: slashToken})
		case '\\':
			i++
			if i == len(text) {
				return nil, ErrTrailingBackslash
			}
			tokens = append(tokens, quoted(text[i], fold))
		case '[':
			s, n, err := scanSet(text[i+1:], fold)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, token{kind: setToken, set: s})
			i += n
		default:
			tokens = append(tokens, byteOf(c, fold))
		}
	}
	return tokens, nil
}

func quoted(c byte, fold bool) token {
	if c == '/' {
		return token{kind: quotedSlashToken}
	}
	return byteOf(c, fold)
}

func byteOf(c byte, fold bool) token {
	if fold {
		c = lowerByte(c)
	}
	return token{kind: byteToken, b: c}
}
