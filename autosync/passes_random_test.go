package autosync_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/safety"
)

func contents(tops ...string) map[string]string {
	out := map[string]string{}
	for _, top := range tops {
		_ = filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if data, err := os.ReadFile(path); err == nil && (strings.HasPrefix(string(data), "user ") || strings.HasPrefix(string(data), "agent ")) {
					out[string(data)] = path
				}
			}
			return nil
		})
	}
	return out
}

func byPath(top string) map[string]string {
	out := map[string]string{}
	_ = filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			data, _ := os.ReadFile(path)
			out[path] = string(data)
		}
		return nil
	})
	return out
}

func TestNothingIsLostOverManyPasses(t *testing.T) {
	seeds := 60
	for seed := range seeds {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { manyPasses(t, uint64(seed)) }) {
			return
		}
	}
}

func manyPasses(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2))
	names := []string{"a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "ro", "ro/a", "hid", "d/hid", "g/a"}
	p := newPair(t, ".agentignore = hid", ".agentreadonly = ro", "a = user 0a", "d/a = user 0b", "d/e/a = user 0c", "ro/a = user 0d", "d/hid = user 0e", "zz = zz")
	session := p.m.Session.Dir()
	var log []string
	n := 0
	crossed, forgone := map[string]bool{}, map[string]bool{}
	for range 8 {
		had := byPath(p.project)
		for range 1 + r.IntN(4) {
			side, who := p.project, "user"
			if r.IntN(2) == 0 {
				side, who = p.mirror, "agent"
			}
			name := names[r.IntN(len(names))]
			full := filepath.Join(side, name)
			n++
			op := r.IntN(7)
			log = append(log, fmt.Sprintf("%s op %d %s (%d)", who, op, name, n))
			content := fmt.Sprintf("%s %03d", who, n)
			switch op {
			case 0, 1:
				_ = os.MkdirAll(filepath.Dir(full), 0o755)
				_ = os.WriteFile(full, []byte(content), 0o644)
			case 2:
				_ = os.MkdirAll(filepath.Dir(full), 0o755)
				if os.WriteFile(full+".tmp", []byte(content), 0o644) == nil {
					if os.Rename(full+".tmp", full) != nil {
						os.Remove(full + ".tmp")
					}
				}
			case 3:
				_ = os.RemoveAll(full)
			case 4:
				if i, err := os.Lstat(full); err == nil && i.Mode().IsRegular() {
					_ = os.Chmod(full, i.Mode().Perm()^0o111)
				}
			case 5:
				_ = os.RemoveAll(full)
				_ = os.MkdirAll(filepath.Dir(full), 0o755)
				_ = os.WriteFile(full, []byte(content), 0o644)
			case 6:
				_ = os.Rename(full, filepath.Join(side, names[r.IntN(len(names))]))
			}
		}
		opts := autosync.Options{Deletes: r.IntN(3) > 0, OnlyToProject: r.IntN(2) == 0}
		opts.Deletes = opts.Deletes || !opts.OnlyToProject
		if r.IntN(3) == 0 {
			opts.Paths = []safety.RelPath{safety.RelPath(names[r.IntN(len(names))])}
		}
		log = append(log, fmt.Sprintf("sync %+v", opts))
		has := byPath(p.project)
		for path, content := range had {
			forgone[content] = forgone[content] || has[path] != content
		}
		theirs, agents := contents(append(kept(session), p.project)...), contents(p.mirror)
		c, err := p.tryOnce(opts)
		home, all := contents(append(kept(session), p.project)...), contents(p.project, session)
		if err != nil && !strings.Contains(err.Error(), "empty") || len(c.Failed) > 0 {
			t.Errorf("err %v, failed %+v", err, c.Failed)
		}
		for content, path := range theirs {
			if home[content] == "" && !forgone[content] && strings.HasPrefix(content, "user") {
				t.Errorf("the user's %q of %s is lost", content, path)
			}
		}
		for content, path := range agents {
			if all[content] == "" && !crossed[content] && strings.HasPrefix(content, "agent") {
				t.Errorf("the agent's %q of %s is lost", content, path)
			}
		}
		for content := range contents(p.project) {
			crossed[content] = true
		}
		if t.Failed() {
			t.Fatalf("seed %d\n%s\n%+v", seed, strings.Join(log, "\n"), c)
		}
	}
}

// kept are the folders of a session that hold what may not be lost.
func kept(session string) []string {
	var out []string
	for _, name := range []string{"store", "conflicts*", "refused*", "held*"} {
		found, _ := filepath.Glob(filepath.Join(session, name))
		out = append(out, found...)
	}
	return out
}
