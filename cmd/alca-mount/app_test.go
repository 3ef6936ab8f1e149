package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// fakeApp is an app in a project of its own whose launches are only noted.
type fakeApp struct {
	*app
	project string
	got     launcher.Options
	result  launcher.Result
	err     error
}

func newFakeApp(t *testing.T, files ...string) *fakeApp {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	project := filepath.Join(dir, "p")
	for _, f := range append(files, "a") {
		name, text, _ := strings.Cut(f, "=")
		path := filepath.Join(project, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	t.Setenv("HOME", filepath.Join(dir, "home"))
	t.Chdir(project)
	f := &fakeApp{project: project}
	f.app = &app{getenv: func(string) string { return "" }, stdin: os.Stdin, stdout: tempFile(t), stderr: tempFile(t)}
	f.launch = func(_ context.Context, o launcher.Options) (launcher.Result, error) {
		f.got = o
		return f.result, f.err
	}
	return f
}

func tempFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// output returns what was written since the last call.
func read(t *testing.T, f *os.File) string {
	t.Helper()
	data, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	f.Seek(0, 0)
	return string(data)
}

func TestRunExitsAsTheLaunchSays(t *testing.T) {
	own := errors.New("own failure")
	for _, c := range []struct {
		result launcher.Result
		err    error
		want   int
	}{
		{launcher.Result{}, nil, 0},
		{launcher.Result{ExitCode: 7}, nil, 7},
		{launcher.Result{ExitCode: 143}, nil, 143},
		{launcher.Result{ExitCode: 125}, own, 125},
		{launcher.Result{ExitCode: 0}, own, 125}, // CMD succeeded, the last sync did not
		{launcher.Result{ExitCode: 3}, own, 3},
		{launcher.Result{ExitCode: 126}, own, 126},
		{launcher.Result{ExitCode: 127}, own, 127},
		{launcher.Result{ExitCode: 130}, own, 130},
		// Refusals, orphans, conflicts and holds leave CMD's code.
		{launcher.Result{ExitCode: 0, Changes: autosync.Changes{Refused: manyNotes(1), Orphans: manyNotes(1), Held: manyNotes(1), Conflicts: manyNotes(1)}}, nil, 0},
	} {
		f := newFakeApp(t)
		f.result, f.err = c.result, c.err
		if got := f.run([]string{"-q", "--", "true"}); got != c.want {
			t.Errorf("%+v, %v: exit %d, want %d", c.result, c.err, got, c.want)
		}
		if out := read(t, f.stdout); out != "" {
			t.Errorf("on stdout: %q", out)
		}
		if told := read(t, f.stderr); (c.err != nil) != strings.Contains(told, "alca-mount: own failure\n") {
			t.Errorf("%v: told %q", c.err, told)
		}
	}
}

func TestRunHandsFlagsToTheLaunch(t *testing.T) {
	f := newFakeApp(t, ".agentignore=.env", "sub/f")
	t.Chdir(filepath.Join(f.project, "sub"))
	args := []string{"--agent", "ci", "--exclude", "*.pem", "--readonly", "docs/", "--git", "copy", "--population", "auto", "--symlinks", "follow",
		"--sync", "off", "--mirror-dir", "../../m", "--keep", "--name", "n", "--env", "A=1", "--env", "B", "--allow-mass-delete", "--grace", "3s",
		"--overlay", "./a/b", "--overlay", "auto", "--", "cmd", "--keep", "-v"}
	if code := f.run(args); code != 0 {
		t.Fatalf("exit %d: %s", code, read(t, f.stderr))
	}
	got, want := f.got, launcher.Options{
		Project: f.project, Mirror: filepath.Join(filepath.Dir(f.project), "m"), Agent: "ci", Command: []string{"cmd", "--keep", "-v"}, Subdir: "sub",
		Env: []string{"A=1", "B"}, Isolation: launcher.IsolationAuto, Untold: true, Sync: launcher.SyncOff, Population: mirror.Auto, Git: mirror.GitCopy,
		Links: mirror.FollowLinks, Name: "n", Keep: true, Grace: 3 * time.Second, AllowMassDelete: true,
		Overlays: []launcher.Overlay{{Path: "a/b"}}, AutoOverlays: true, OverlaysOf: "ci",
	}
	rules := got.Policy.Rules()
	if !rules.Git || rules.NoDefaults || len(rules.Hidden) != 1 || rules.Excludes[0].Pattern != "*.pem" || rules.ReadOnly[0].Pattern != "docs/" {
		t.Errorf("rules %+v", rules)
	}
	if got.State.Path() != filepath.Join(os.Getenv("XDG_STATE_HOME"), "alca-mount") || got.Signals == nil {
		t.Errorf("state %q, signals %v", got.State.Path(), got.Signals)
	}
	got.Policy, got.State, got.Signals = nil, nil, nil
	got.Progress, got.Pulling, got.Whole, got.AfterBuild, got.Events = nil, nil, nil, nil, nil
	got.Live = autosync.LiveOptions{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAgentIsTheCommandsNameWhereItCanBe(t *testing.T) {
	for command, want := range map[string]string{"claude": "claude", "/usr/bin/claude": "claude", "./a.sh": "", "a b": "", "./": ""} {
		f := newFakeApp(t)
		if code := f.run([]string{"-q", "--", command}); code != 0 || f.got.Agent != want {
			t.Errorf("%q: agent %q, exit %d; want %q", command, f.got.Agent, code, want)
		}
	}
}

func TestGraceOfZeroIsNotTheDefault(t *testing.T) {
	f := newFakeApp(t)
	if f.run([]string{"--grace", "0s", "--", "x"}); f.got.Grace == 0 {
		t.Error("0 would be the launcher's default of 10 s")
	}
}

func TestStateInProjectIsRefused(t *testing.T) {
	f := newFakeApp(t)
	t.Setenv("XDG_STATE_HOME", filepath.Join(f.project, "state"))
	if code := f.run([]string{"--", "x"}); code != 125 || f.got.Command != nil {
		t.Errorf("exit %d, launched %v", code, f.got.Command)
	}
	if _, err := os.Stat(filepath.Join(f.project, "state")); err == nil {
		t.Error("made")
	}
}

func TestRunTellsStartAndEnd(t *testing.T) {
	f := newFakeApp(t)
	f.launch = func(_ context.Context, o launcher.Options) (launcher.Result, error) {
		o.AfterBuild(launcher.Start{
			Session: "s1", Name: "n", Mirror: "/m", Isolation: launcher.IsolationNone, Enforced: []string{"hidden: absent"}, Warnings: []string{"careful"},
			Built: mirror.Built{Files: 1200, Bytes: 3_400_000, Hidden: 2, ReadOnly: 3, Unguarded: 3, CopiedBy: safety.Reflink, Skipped: []mirror.Skipped{{Path: "pipe", Why: "a FIFO"}}},
		})
		return launcher.Result{Session: "s1"}, nil
	}
	if code := f.run([]string{"-v", "--", "x"}); code != 0 {
		t.Fatal(code)
	}
	got := read(t, f.stderr)
	for _, want := range []string{
		"alca-mount: 1,200 files, 3.4 MB (reflinked) · 2 hidden · 3 read-only · session s1 (n) · ",
		"alca-mount: careful\n", "alca-mount: 3 read-only files not write-protected in the mirror: ", "alca-mount: 1 entry left out:\n    pipe  a FIFO\n",
		"alca-mount: isolation none: ", "alca-mount: enforced: hidden: absent\n", "alca-mount: brought home: 0 changed, 0 deleted · session s1 · ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "\x1b") {
		t.Error("colours, and no terminal")
	}
	if f.run([]string{"--isolation", "none", "--", "x"}); strings.Contains(read(t, f.stderr), "isolation none:") {
		t.Error("isolation was asked for and told all the same")
	}
}

func TestRunTellsNoEndOfWhatNeverStarted(t *testing.T) {
	f := newFakeApp(t)
	f.result, f.err = launcher.Result{Session: "s1", ExitCode: 125}, errors.New("disk full")
	if code := f.run([]string{"--", "x"}); code != 125 {
		t.Errorf("exit %d", code)
	}
	if got := read(t, f.stderr); got != "alca-mount: disk full\n" {
		t.Errorf("got %q", got)
	}
	f.result.Mirror, f.result.WhyKept = "/m", "it could not be removed"
	if f.run([]string{"--", "x"}); !strings.Contains(read(t, f.stderr), "the mirror is kept (it could not be removed): /m\n") {
		t.Error("a mirror was left and not told")
	}
}

func TestEventsAreJSONLines(t *testing.T) {
	f := newFakeApp(t)
	file := filepath.Join(t.TempDir(), "ev")
	f.launch = func(_ context.Context, o launcher.Options) (launcher.Result, error) {
		o.AfterBuild(launcher.Start{Session: "s1", Mirror: "/m", Enforced: []string{"e"}})
		o.Events(autosync.Event{Time: time.Now(), Type: autosync.Started, Session: "s1"}) // ours says more
		o.Events(autosync.Event{Time: time.Now(), Type: autosync.Synced, Session: "s1", Path: "a<b", Direction: autosync.ToProject})
		o.Events(autosync.Event{Time: time.Now(), Type: autosync.Refused, Session: "s1", Path: "\xff", Reason: "r", Kept: "/k"})
		return launcher.Result{Session: "s1", ExitCode: 3}, nil
	}
	if code := f.run([]string{"-q", "--events", file, "--", "x"}); code != 3 {
		t.Fatal(code)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"event": "start", "session": "s1", "project": f.project, "mirror": "/m", "enforced": []any{"e"}},
		{"event": "synced", "session": "s1", "path": "a<b", "direction": "to_project"},
		{"event": "refused", "session": "s1", "path": "\uFFFD", "path_b64": "/w==", "reason": "r", "kept": "/k"},
		{"event": "end", "session": "s1", "exit": 3.0},
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	if len(lines) != len(want) {
		t.Fatalf("%d lines:\n%s", len(lines), data)
	}
	for i, line := range lines {
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatal(err)
		}
		if _, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil {
			t.Error(err)
		}
		delete(got, "time")
		if !reflect.DeepEqual(got, want[i]) {
			t.Errorf("got %v, want %v", got, want[i])
		}
	}
}

func TestChangesJSONHasEveryList(t *testing.T) {
	data, err := marshal(changesJSON(autosync.Changes{ToProject: []safety.RelPath{"ok", "\xff"}, Conflicts: []autosync.PathNote{{Path: "c", Kept: "/k"}}}))
	want := `{"to_project":["ok",{"path":"` + "\uFFFD" + `","path_b64":"/w=="}],"deleted":[],"conflicts":[{"path":"c","kept":"/k"}],"refused":[],"held":[],"orphans":[],"failed":[],"pending_deletes":[]}`
	if err != nil || string(data) != want {
		t.Errorf("%v\n%s\n%s", err, data, want)
	}
}

func TestRmRefusesForWorkThatMayComeHome(t *testing.T) {
	if lost := unsynced(autosync.Changes{PendingDelete: []safety.RelPath{"d"}, ToMirror: []safety.RelPath{"m"}}); len(lost) != 0 {
		t.Errorf("pending deletes block: %v", lost)
	}
	got := unsynced(autosync.Changes{ToProject: []safety.RelPath{"a", "b"}, Conflicts: append(manyNotes(1), autosync.PathNote{Path: "b"}), Held: manyNotes(1), Failed: manyNotes(1), Refused: manyNotes(1), Orphans: manyNotes(1)})
	if !slices.Equal(got, []string{"a", "f00", "b", "f00", "f00"}) {
		t.Errorf("got %v", got)
	}
}

func TestRulesOfAnotherUserAboveAreRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	f := newFakeApp(t, ".agentignore=x", "sub/f")
	if err := os.Chown(filepath.Join(f.project, ".agentignore"), 12345, 12345); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(f.project, "sub"))
	if _, err := findPlace(""); err == nil || !strings.Contains(err.Error(), "another user (uid 12345): name the project with -C") {
		t.Errorf("got %v", err)
	}
	if _, err := findPlace(".."); err != nil {
		t.Errorf("-C: %v", err)
	}
	// A project that is that user's as a whole is taken, as root under sudo.
	if err := os.Chown(filepath.Join(f.project, "sub"), 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if got, err := findPlace(""); err != nil || got.project != f.project || got.subdir != "sub" {
		t.Errorf("got %v, %v", got, err)
	}
}
