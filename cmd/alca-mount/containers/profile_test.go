//go:build linux

package containers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// profile brings an agent's login to a home that stays, and without it nothing; a project's image does not get it unasked.
func profile(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1")
	login := filepath.Join(e.dir, ".codex/auth.json")
	if err := os.MkdirAll(filepath.Dir(login), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, login, "TOKEN")
	own(t, filepath.Dir(login), e.user)
	own(t, login, e.user)
	t.Cleanup(func() { os.RemoveAll(filepath.Dir(login)) })
	run := func(script string, flags ...string) outcome {
		cmd := p.am(p.args(busyboxImage, script, flags...)...)
		cmd.Env = append(cmd.Env, "OPENAI_API_KEY=key", "ANTHROPIC_API_KEY=another")
		return p.finish(cmd)
	}

	o := run(`cat ~/.codex/auth.json; echo " $HOME $OPENAI_API_KEY $ANTHROPIC_API_KEY."; echo -n memory >~/memory`, "--agent", "codex")
	o.wantCode(t, 0)
	o.wantIn(t, o.out, "TOKEN /alca-home key .")
	o.wantIn(t, o.stderr, "profile codex: copied ~/.codex/auth.json · passed on OPENAI_API_KEY · its home: ")

	o = run(`cat ~/memory`, "--agent", "codex")
	o.wantIn(t, o.out, "memory")
	o.wantIn(t, o.stderr, "as copied before ~/.codex/auth.json")

	for _, flags := range [][]string{{"--agent", "codex", "--no-profile"}, {"--agent", "other"}} {
		o = run(`cat ~/.codex/auth.json; echo "$OPENAI_API_KEY."`, flags...)
		if strings.Contains(o.out, "TOKEN") || strings.Contains(o.out, "key") || strings.Contains(o.stderr, "profile") {
			t.Errorf("%q: %+v", flags, o)
		}
	}

	p.write(".alca.toml", "image = '"+busyboxImage+"'\n")
	o = p.run(append(e.flags(), "--runtime", e.cli, "--agent", "codex", "--", "sh", "-c", "cat ~/.codex/auth.json")...)
	o.wantCode(t, 125)
	o.wantIn(t, o.stderr, "brings your settings and login")
	o = p.run(append(e.flags(), "--runtime", e.cli, "--agent", "codex", "--no-profile", "--", "sh", "-c", "echo ran")...)
	o.wantCode(t, 0)
}
