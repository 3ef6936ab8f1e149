package launcher

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher/internal/container"
	"github.com/alca-mount/alca-mount/mirror"
)

// What is foreseen for the container that is made early protects what the mirror then holds.
func TestForeseenIsWhatTheMirrorHolds(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"nothing":   {"a": "1", "d/b": "2"},
		"files":     {".agentreadonly": "ro\nd/deep/x\n", "ro": "1", "d/deep/x": "1", "d/deep/y": "1", "e/f": "1"},
		"whole":     {".agentreadonly": "whole/\n", "whole/a": "1", "whole/sub/b": "1", "a": "1"},
		"hidden":    {".agentignore": ".env\nsecret/\n", ".agentreadonly": "*.lock\n", ".env": "1", "secret/a.lock": "1", "b.lock": "1"},
		"left out":  {".agentreadonly": "*.md\n", "node_modules/a.md": "1", ".git/x.md": "1", "a.md": "1", ".alca-mount": "1"},
		"all":       {".agentreadonly": "*\n", "a": "1", "d/b": "1"},
		"config":    {".alca.toml": "", "a-b/x": "1", "a/x": "1", ".agentreadonly": "x\n"},
		"odd names": {".agentreadonly": "o*\n", "o d d": "1", "d/o:ld\n": "1"},
	} {
		project := filepath.Join(t.TempDir(), "p")
		for p, content := range files {
			p = filepath.Join(project, p)
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("a", filepath.Join(project, "link.lock")); err != nil {
			t.Fatal(err)
		}
		policy, err := dotfiles.Read(project, "")
		if err != nil {
			t.Fatal(err)
		}
		foreseen, err := foresee(t.Context(), project, policy)
		if err != nil {
			t.Fatal(err)
		}
		state := mirror.NewStateDir(filepath.Join(t.TempDir(), "state"))
		session, err := state.New(project, mirror.Record{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := mirror.Create(t.Context(), project, "", mirror.Options{Policy: policy, Session: session})
		if err != nil {
			t.Fatal(err)
		}
		got, want := container.Protect(foreseen, container.MaxBinds), container.Protect(entriesOf(m), container.MaxBinds)
		got.Open, want.Open = nil, nil // links are not bound, and which of them the mirror has is not foreseen
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: foreseen %+v, the mirror asks for %+v", name, got, want)
		}
		if err := m.Remove(t.Context()); err != nil { // also what is protected, which the test's end could not
			t.Error(err)
		}
	}
}

// An entry that was replaced since it was bound is bound no more.
func TestBoundEntryThatWasReplacedIsNotStillBound(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	bound := await(t.Context(), []string{dir, file}, nil)
	if !stillBound(bound) {
		t.Fatal("as it was, and not bound")
	}
	held, err := os.Open(file) // so that no other file gets the inode
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if stillBound(bound) {
		t.Error("removed, and still bound")
	}
	if err := os.WriteFile(file, []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if stillBound(bound) {
		t.Error("another file, and still bound")
	}
}

func TestAwaitEndsWithTheCopying(t *testing.T) {
	missing := []string{filepath.Join(t.TempDir(), "missing")}
	over := make(chan struct{})
	close(over)
	if await(t.Context(), missing, over) != nil {
		t.Error("something is there")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if await(ctx, missing, nil) != nil {
		t.Error("something is there")
	}
}
