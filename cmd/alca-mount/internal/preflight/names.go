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
	patterns []string // of path.Match, in lower case, on the last name of a path
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
		{[]string{".env", ".env.*", "*.env"}, "environment file", nil},
		{[]string{"id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"}, "SSH private key", nil},
		{[]string{"*.pem", "*.key", "*.p8", "*.ppk", "*.asc"}, "private key", regexp.MustCompile(`PRIVATE KEY|PuTTY-User-Key-File`)},
		{[]string{"*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.kdb", "*.agekey"}, "key store", nil},
		{[]string{"*.tfstate", "*.tfstate.*"}, "Terraform state", nil},
		{[]string{"*.tfvars", "*.tfvars.json"}, "Terraform variables", regexp.MustCompile(`(?i)(password|secret|token|private_key|access_key)\w*"?\s*[:=]\s*"[^"]`)},
		{[]string{"credentials", "credentials.*", "*credentials.json", "secrets.*", "secret.*"}, "credentials file", regexp.MustCompile(`(?i)(key|secret|token|password|passwd|private)`)},
		{[]string{"*.json"}, "service account key", regexp.MustCompile(`"private_key"\s*:\s*"-----BEGIN|"type"\s*:\s*"service_account"`)},
		{[]string{"kubeconfig", "kubeconfig.*", "*.kubeconfig", "config"}, "Kubernetes access", regexp.MustCompile(`(?m)^\s*-?\s*(client-key-data|token|password):\s*\S`)},
		{[]string{".npmrc"}, "npm token", regexp.MustCompile(`(?m)^[^#;\n]*_(authToken|auth|password)\s*=\s*[^\s$]`)},
		{[]string{".yarnrc.yml"}, "npm token", regexp.MustCompile(`(?m)^\s*npmAuth(Token|Ident):\s*["']?[^\s"'$]`)},
		{[]string{".pypirc"}, "PyPI token", regexp.MustCompile(`(?m)^\s*password\s*[:=]\s*\S`)},
		{[]string{".netrc", "_netrc", ".git-credentials", ".pgpass", ".my.cnf", ".vault-token", ".htpasswd", ".s3cfg", ".boto"}, "stored login", nil},
		{[]string{".dockercfg", ".dockerconfigjson"}, "registry login", nil},
		{[]string{"master.key", "credentials.yml.enc.key", "*.ovpn", "wg*.conf"}, "private key", nil},
		{[]string{"config.json"}, "registry login", regexp.MustCompile(`"auth"\s*:\s*"[^"]`)},
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

func matches(patterns []string, base string) bool {
	for _, p := range patterns {
		if fits(p, base) {
			return true
		}
	}
	return false
}

// fits is path.Match of a name with patterns of nothing but letters and stars. Most names don't fit by their first or
// last letters.
func fits(pattern, name string) bool {
	before, rest, star := strings.Cut(pattern, "*")
	if !star {
		return name == pattern
	}
	if !strings.HasPrefix(name, before) {
		return false
	}
	name = name[len(before):]
	for {
		piece, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(name, rest)
		}
		i := strings.Index(name, piece)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(piece):], more
	}
}
