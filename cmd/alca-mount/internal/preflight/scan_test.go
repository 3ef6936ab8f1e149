package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/safety"
)

func all(string, bool) bool { return true }

// tree writes files; "key" and "token" stand for a private key and an access token, put together here so that no file of
// this project holds one.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	values := strings.NewReplacer(
		"{key}", "-----BEGIN "+"RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAx7vY0k3f9Qe1nB5r8s2LwTzXcVbNmQwErTyUiOpAsDfGhJkL\nZxCvBnMqWeRtYuIoPaSdFgHjKlZxCvBnMq1234567890abcdefghijklmnopqrst\n-----END "+"RSA PRIVATE KEY-----\n",
		"{aws}", "AKIA"+"IMNOJVGFDXXXE4OA", "{github}", "ghp"+"_x7Kq2mNpR4sT6vW8yZ1aB3cD5eF7gH9iJ0kL",
		"{slack}", "xoxb"+"-213456789012-213456789012-aBcDeFgHiJkLmNoPqRsTuVwX", "{stripe}", "sk_live"+"_4eC39HqLyjWDarjtT1zdp7dcAbCdEfGh",
		"{cert}", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
	for name, content := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(values.Replace(content)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func scanned(t *testing.T, dir string, visible func(string, bool) bool, limits Limits) (map[string]string, bool) {
	t.Helper()
	root, err := safety.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	found, cut, err := Scan(context.Background(), root, visible, limits)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range found {
		out[string(f.Path)] = f.Why
	}
	return out, cut
}

// layouts are secrets as they lie in projects of five kinds.
func layouts() map[string]map[string]string {
	return map[string]map[string]string{
		"node": {
			".env": "A=1", ".env.local": "A=1", ".npmrc": "//registry.npmjs.org/:_authToken=npm_abc", "config/prod.env": "X=1",
			"src/client.js": "const token = '{github}';", "certs/server.key": "{key}", "packages/a/.env.production": "B=2",
		},
		"python": {
			".pypirc": "[pypi]\nusername = a\npassword = b", "settings/local.py": "AWS_KEY = '{aws}'", "service-account.json": `{"type": "service_account", "private_key": "-----BEGIN PRIV"}`,
			"notebooks/run.ipynb": `{"source": "client = Slack('{slack}')"}`, ".netrc": "machine x", "deploy/id_ed25519": "{key}",
		},
		"terraform": {
			"terraform.tfstate": "{}", "terraform.tfstate.backup": "{}", "prod.tfvars": `db_password = "hunter2"`, "modules/vpc/secrets.auto.tfvars": `api_token = "x"`,
			"keys/bastion.pem": "{key}",
		},
		"kubernetes": {
			"kubeconfig": "users:\n- user:\n    token: abc", "clusters/prod.kubeconfig": "    client-key-data: abc", ".kube/config": "    token: abc",
			"secrets.yaml": "password: x", ".docker/config.json": `{"auths": {"r": {"auth": "dXNlcg=="}}}`, "tls/ca.p12": "\x00",
		},
		"rails": {
			"config/master.key": "0123", "config/credentials.yml": "secret_key_base: x", "config/stripe.rb": "Stripe.api_key = '{stripe}'", ".pgpass": "h:5432:*:u:p",
			"vault.kdbx": "\x00", ".git-credentials": "https://u:p@h",
		},
	}
}

func TestPlantedSecretsAreFound(t *testing.T) {
	n := 0
	for name, files := range layouts() {
		t.Run(name, func(t *testing.T) {
			got, cut := scanned(t, tree(t, files), all, Limits{})
			for f := range files {
				if got[f] == "" {
					t.Errorf("%s is not found", f)
				}
			}
			if cut {
				t.Error("the scan ended early")
			}
		})
		n += len(files)
	}
	if n < 30 {
		t.Errorf("only %d planted", n)
	}
}

func TestWhatIsNoSecretIsNotListed(t *testing.T) {
	got, _ := scanned(t, tree(t, map[string]string{
		".env.example": "A=", ".env.sample": "A=", "env.template": "A=", "server.pem": "{cert}", "ca.key": "not a key", ".npmrc": "save-exact=true",
		"credentials.go": "package credentials // key token secret", "secrets.md": "how to keep a secret", "id_rsa.pub": "ssh-rsa AAAA", "config.json": "{}",
		"x_test.go": `const key = "{key}"`, "testdata/key.txt": "{key}", "kubeconfig": "clusters: []", "package.json": `{"name": "x"}`, "tokens.css": ":root{}",
		".pypirc": "[distutils]", "main.tf": `variable "password" {}`, "README.md": "set `API_TOKEN=...`", "keyboard.key": "x", "binary": "\x00{github}",
	}), all, DefaultLimits())
	if len(got) > 0 {
		t.Errorf("listed: %q", got)
	}
}

func TestOnlyWhatIsVisibleIsListed(t *testing.T) {
	dir := tree(t, map[string]string{".env": "A=1", "sub/.env": "A=1", "node_modules/x/.env": "A=1"})
	os.Symlink("sub", filepath.Join(dir, "link"))
	got, _ := scanned(t, dir, func(p string, isDir bool) bool { return p != ".env" && !(isDir && p == "node_modules") }, Limits{})
	if len(got) != 1 || got["sub/.env"] == "" {
		t.Errorf("listed: %q", got)
	}
}

func TestNamesAloneFindWhatNamesTell(t *testing.T) {
	dir := tree(t, map[string]string{".env": "A=1", "d/K.PEM": "{key}", "c.pem": "{cert}", "a.js": "'{github}'", "other/.env": "A=1"})
	root, err := safety.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	files := func(yield func(safety.RelPath, string) bool) {
		for _, p := range []safety.RelPath{".env", "a.js", "c.pem", "d/K.PEM", "gone.pem"} {
			if !yield(p.Dir(), p.Base()) {
				return
			}
		}
	}
	found, err := Names(t.Context(), root, files)
	if err != nil || len(found) != 2 || found[0].Path != ".env" || found[1].Path != "d/K.PEM" || found[0].Why == "" || found[1].Why == "" {
		t.Errorf("%v, listed %q", err, found)
	}
}

// path.Match is who says what a pattern means.
func TestFitsIsMatch(t *testing.T) {
	bases := []string{"", "x", ".env", ".env.local", "a.env", "env", "id_rsa", "my.tfstate.backup", ".tfstate.", "tfstate.", "a.tfvars.json",
		"credentials", "credentials.x", "aws-credentials.json", "secrets.yml", "secret.", "wg0.conf", "wg.conf", "wgconf", "config.json", "x.config.json", "ab", "aba", "abba", "axa"}
	all := newQuick(names())
	for _, n := range append(names(), name{patterns: patterns("ab*ba", "a*a", "a*b*b*", "*")}) {
		for _, parts := range n.patterns {
			p := strings.Join(parts, "*")
			if base := strings.ReplaceAll(p, "*", "a.b"); n.why != "" && !all.fits(base) {
				t.Errorf("%q fits %q, and not when all are asked", base, p)
			}
			for _, base := range append(bases, p, strings.ReplaceAll(p, "*", "a*b"), p+"x", "x"+p) {
				want, err := path.Match(p, base)
				if err != nil || strings.ContainsAny(p, "?[\\") {
					t.Fatalf("pattern %q: %v", p, err)
				}
				if got := parts.fits(base); got != want {
					t.Errorf("%q fits %q: %v", base, p, got)
				}
			}
		}
	}
}

func TestLimitsLeaveNames(t *testing.T) {
	files := map[string]string{"z/.env": "A=1"}
	for i := range 20 {
		files[fmt.Sprintf("f%02d", i)] = "x"
	}
	got, cut := scanned(t, tree(t, files), all, Limits{Files: 5})
	if !cut || got["z/.env"] == "" {
		t.Errorf("cut %v, listed %q", cut, got)
	}
}

// Published modules hold no secrets: what is listed in one is a false alarm.
func TestNoFalseAlarmsInPublishedModules(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("without a Go toolchain there is no module cache to look at")
	}
	for _, module := range []string{"github.com/spf13/cobra", "github.com/creack/pty", "github.com/pelletier/go-toml/v2"} {
		out, err := exec.Command("go", "list", "-m", "-json", module).Output()
		var m struct{ Dir string }
		if err == nil {
			err = json.Unmarshal(out, &m)
		}
		if err != nil || m.Dir == "" {
			t.Fatalf("go list -m %s: %v", module, err)
		}
		if got, cut := scanned(t, m.Dir, all, Limits{}); len(got) > 0 || cut {
			t.Errorf("%s: %q, cut %v", module, got, cut)
		}
	}
}
