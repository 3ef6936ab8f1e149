// Package preflight finds files of a project that look like secrets, before an agent sees them.
//
// [Scan] is a help, not a guard: what it does not find is not thereby safe to show.
package preflight

import (
	"path"
	"regexp"
	"strings"
)

// name is a kind of file that its name gives away.
type name struct {
	patterns []pattern // of path.Match, in lower case, on the last name of a path
	why      string
	holds    *regexp.Regexp // what the content must hold besides; nil: the name is enough
}

// book is what names tell.
type book struct {
	names                 []name
	code, examples, tests *regexp.Regexp
}

func newBook() *book {
	return &book{
		names: names(),
		// Code about secrets is no secret, whatever its name.
		code: regexp.MustCompile(`\.(go|py|js|jsx|ts|tsx|rs|rb|java|kt|c|h|cc|cpp|cs|php|swift|scala|sh|md|rst|txt|html|css|vue|svelte|proto|sql|test|pub)$`),
		// Examples are in a repository to be seen.
		examples: regexp.MustCompile(`(^|[._-])(example|examples|sample|samples|template|tmpl|tpl|dist|defaults?|schema|dummy|fake|mock)([._-]|$)`),
		// Keys in tests were made for them.
		tests: regexp.MustCompile(`(^|/)(testdata|tests?|fixtures|__tests__|spec)/|_test\.\w+$|\.(test|spec)\.\w+$`),
	}
}

func names() []name {
	return []name{
		{patterns(".env", ".env.*", "*.env"), "environment file", nil},
		{patterns("id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"), "SSH private key", nil},
		{patterns("*.pem", "*.key", "*.p8", "*.ppk", "*.asc"), "private key", regexp.MustCompile(`PRIVATE KEY|PuTTY-User-Key-File`)},
		{patterns("*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.kdb", "*.agekey"), "key store", nil},
		{patterns("*.tfstate", "*.tfstate.*"), "Terraform state", nil},
		{patterns("*.tfvars", "*.tfvars.json"), "Terraform variables", regexp.MustCompile(`(?i)(password|secret|token|private_key|access_key)\w*"?\s*[:=]\s*"[^"]`)},
		{patterns("credentials", "credentials.*", "*credentials.json", "secrets.*", "secret.*"), "credentials file", regexp.MustCompile(`(?i)(key|secret|token|password|passwd|private)`)},
		{patterns("*.json"), "service account key", regexp.MustCompile(`"private_key"\s*:\s*"-----BEGIN|"type"\s*:\s*"service_account"`)},
		{patterns("kubeconfig", "kubeconfig.*", "*.kubeconfig", "config"), "Kubernetes access", regexp.MustCompile(`(?m)^\s*-?\s*(client-key-data|token|password):\s*\S`)},
		{patterns(".npmrc"), "npm token", regexp.MustCompile(`(?m)^[^#;\n]*_(authToken|auth|password)\s*=\s*[^\s$]`)},
		{patterns(".yarnrc.yml"), "npm token", regexp.MustCompile(`(?m)^\s*npmAuth(Token|Ident):\s*["']?[^\s"'$]`)},
		{patterns(".pypirc"), "PyPI token", regexp.MustCompile(`(?m)^\s*password\s*[:=]\s*\S`)},
		{patterns(".netrc", "_netrc", ".git-credentials", ".pgpass", ".my.cnf", ".vault-token", ".htpasswd", ".s3cfg", ".boto"), "stored login", nil},
		{patterns(".dockercfg", ".dockerconfigjson"), "registry login", nil},
		{patterns("master.key", "credentials.yml.enc.key", "*.ovpn", "wg*.conf"), "private key", nil},
		{patterns("config.json"), "registry login", regexp.MustCompile(`"auth"\s*:\s*"[^"]`)},
	}
}

// byName says why a file's name, and where the name alone does not tell what it holds, make it look like a secret; "" when
// they don't. content returns the beginning of the file, nil when it can't be read.
func (b *book) byName(file string, content func() []byte) string {
	base := strings.ToLower(path.Base(file))
	for _, n := range b.names {
		if !matches(n.patterns, base) {
			continue
		}
		if b.code.MatchString(base) || b.examples.MatchString(base) { // only now: this runs for every file
			return ""
		}
		if n.holds == nil || n.holds.Match(content()) {
			return n.why
		}
	}
	return ""
}

func matches(patterns []pattern, base string) bool {
	for _, p := range patterns {
		if p.fits(base) {
			return true
		}
	}
	return false
}

// quick tells names that no pattern fits, as most are, from the others.
type quick struct {
	exact, ends map[string]bool // whole names, and what follows the last dot in "*.x"
	rest        []pattern
}

func newQuick(names []name) quick {
	q := quick{exact: map[string]bool{}, ends: map[string]bool{}}
	for _, n := range names {
		for _, p := range n.patterns {
			switch {
			case len(p) == 1:
				q.exact[p[0]] = true
			case len(p) == 2 && p[0] == "" && strings.LastIndex(p[1], ".") == 0:
				q.ends[p[1]] = true
			default:
				q.rest = append(q.rest, p)
			}
		}
	}
	return q
}

func (q quick) fits(name string) bool {
	base := strings.ToLower(name)
	return q.exact[base] || q.ends[path.Ext(base)] || matches(q.rest, base)
}

// pattern is one of path.Match with nothing but letters and stars: what is before, between and behind the stars.
type pattern []string

func patterns(texts ...string) []pattern {
	var all []pattern
	for _, text := range texts {
		all = append(all, strings.Split(text, "*"))
	}
	return all
}

// fits reports whether a name does. Most don't by their first or last letters.
func (p pattern) fits(name string) bool {
	last := len(p) - 1
	if last == 0 {
		return name == p[0]
	}
	if !strings.HasSuffix(name, p[last]) || !strings.HasPrefix(name, p[0]) {
		return false
	}
	name = name[len(p[0]):]
	for _, piece := range p[1:last] {
		i := strings.Index(name, piece)
		if i < 0 {
			return false
		}
		name = name[i+len(piece):]
	}
	return strings.HasSuffix(name, p[last]) // which no piece before has taken
}
