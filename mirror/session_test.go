package mirror

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

func newState(t *testing.T) *StateDir {
	t.Helper()
	return NewStateDir(filepath.Join(t.TempDir(), "state", "alca-mount"))
}

func mustNew(t *testing.T, s *StateDir, project string, r Record) *Session {
	t.Helper()
	session, err := s.New(project, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Unlock() })
	return session
}

// writeSession puts a session's folder where New would, without locking it.
func writeSession(t *testing.T, s *StateDir, r Record) string {
	t.Helper()
	dir := filepath.Join(s.ProjectDir(r.Project), "sessions", r.ID)
	data, err := encodeRecord(r)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, recordName), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func ids(sessions []*Session) []string {
	var out []string
	for _, s := range sessions {
		out = append(out, s.ID)
	}
	return out
}

// fill sets every string, slice and number below v to something that JSON would not keep by itself.
func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("a\xff\xfe/é\U0010FF41\x00 " + strings.Repeat("x", depth))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(1)
	case reflect.Uint8:
		v.SetUint(1)
	case reflect.Slice:
		if depth > 40 {
			return // a type that holds itself
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), depth+i+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type() == reflect.TypeFor[time.Time]() {
				v.Set(reflect.ValueOf(time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)))
				return
			}
			fill(v.Field(i), depth+i+1)
		}
	default:
		panic("BUG: fill knows no " + v.Kind().String())
	}
}

func TestRecordKeepsEveryByte(t *testing.T) {
	var want Record
	fill(reflect.ValueOf(&want).Elem(), 0)
	data, err := encodeRecord(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRecord(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !json.Valid(data) {
		t.Error("not JSON")
	}
}

func FuzzEscapeBytes(f *testing.F) {
	f.Add("a\xff\U0010FFFF\uFFFD")
	f.Fuzz(func(t *testing.T, s string) {
		if e := escapeBytes(s); unescapeBytes(e) != s || strings.ToValidUTF8(e, "") != e {
			t.Errorf("%q became %q", s, e)
		}
	})
}

func TestDecodeRecordRefusesNewerFormat(t *testing.T) {
	_, err := decodeRecord([]byte(`{"format": 2, "id": "x", "rules": "of another kind"}`))
	if !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("got %v", err)
	}
}

func TestNewSessionIsPrivateLockedAndListed(t *testing.T) {
	state := newState(t)
	if err := os.MkdirAll(state.Path(), 0o755); err != nil {
		t.Fatal(err)
	}
	s := mustNew(t, state, "/home/u/my project", Record{Name: "fix", Rules: dotfiles.Rules{Git: true}})
	for dir := s.Dir(); len(dir) >= len(state.Path()); dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v; want 0700", dir, info.Mode(), err)
		}
	}
	if info, err := os.Stat(s.recordPath()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("session.json: %v %v; want 0600", info.Mode(), err)
	}
	holder, err := s.Holder()
	if err != nil || holder.PID != os.Getpid() {
		t.Errorf("Holder = %v, %v", holder, err)
	}
	got, err := state.List("/home/u/my project")
	if err != nil || len(got) != 1 {
		t.Fatalf("List = %v, %v", got, err)
	}
	if diff := cmp.Diff(s.Record, got[0].Record); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(filepath.Base(state.ProjectDir("/home/u/my project")), "my_project-") {
		t.Errorf("project folder %s", state.ProjectDir("/home/u/my project"))
	}
	var locked *safety.LockedError
	if err := got[0].Lock(); !errors.As(err, &locked) {
		t.Errorf("second Lock: %v; want LockedError", err)
	}
}

func TestIDsSortByAge(t *testing.T) {
	now := time.Now()
	var made []string
	for i := range 100 {
		made = append(made, newID(now.Add(time.Duration(i*11)*time.Millisecond)))
	}
	if !slices.IsSorted(made) {
		t.Error(made)
	}
	if a, b := newID(now), newID(now.AddDate(200, 0, 0)); a >= b || len(a) != 12 || len(b) != 12 {
		t.Error(a, b)
	}
}

func TestNewRefusesNameInUse(t *testing.T) {
	state := newState(t)
	first := mustNew(t, state, "/p", Record{Name: "fix"})
	if _, err := state.New("/p", Record{Name: "fix"}); !errors.Is(err, ErrNameTaken) || !strings.Contains(err.Error(), first.ID) {
		t.Errorf("same name: %v; want ErrNameTaken", err)
	}
	mustNew(t, state, "/q", Record{Name: "fix"}) // another project's names are its own
	first.State = SessionEnded
	if err := first.Save(); err != nil {
		t.Fatal(err)
	}
	mustNew(t, state, "/p", Record{Name: "fix"}) // an ended one gives its name up
	for _, bad := range []string{"-x", ".x", "a/b", "a b", "é", strings.Repeat("x", 65)} {
		if _, err := state.New("/p", Record{Name: bad}); !errors.Is(err, ErrBadName) {
			t.Errorf("name %q: %v; want ErrBadName", bad, err)
		}
	}
}

func TestNewAtOnceGivesNameToOne(t *testing.T) {
	state := newState(t)
	errs := make(chan error)
	for range 8 {
		go func() {
			_, err := state.New("/p", Record{Name: "one"})
			errs <- err
		}()
	}
	won := 0
	for range 8 {
		if err := <-errs; err == nil {
			won++
		} else if !errors.Is(err, ErrNameTaken) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d sessions got the name", won)
	}
}

func TestDamagedSessionsAreListedAndLeftAlone(t *testing.T) {
	state := newState(t)
	sound := Record{ID: "aaaaaaaaaaaa", Project: "/p", State: SessionReady}
	writeSession(t, state, sound)
	sessions := filepath.Join(state.ProjectDir("/p"), "sessions")
	for id, text := range map[string]string{
		"bbbbbbbbbbbb": "{",
		"cccccccccccc": `{"format":9,"id":"cccccccccccc"}`,
		"dddddddddddd": `{"format":1,"id":"aaaaaaaaaaaa","project":"/p"}`,
		"eeeeeeeeeeee": `{"format":1,"id":"eeeeeeeeeeee","project":"/elsewhere"}`,
		"ffffffffffff": `{"format":1,"id":"ffffffffffff","project":"/p","mirror":"rel"}`,
	} {
		writeSession(t, state, Record{ID: id, Project: "/p"})
		if err := os.WriteFile(filepath.Join(sessions, id, recordName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	os.Mkdir(filepath.Join(sessions, "gggggggggggg"), 0o700)                               // being made
	os.MkdirAll(filepath.Join(sessions, "hhhhhhhhhhhh", "store"), 0o700)                   // lost its record
	os.WriteFile(filepath.Join(sessions, "stray"), nil, 0o600)                             // no session
	os.Symlink(filepath.Join(sessions, sound.ID), filepath.Join(sessions, "jjjjjjjjjjjj")) // neither

	all, err := state.List("")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc", "dddddddddddd", "eeeeeeeeeeee", "ffffffffffff", "hhhhhhhhhhhh"}
	if diff := cmp.Diff(want, ids(all)); diff != "" {
		t.Fatal(diff)
	}
	for _, s := range all[1:] {
		if !errors.Is(s.Damaged, ErrDamagedSession) || s.State != SessionDamaged {
			t.Errorf("%s: Damaged = %v", s.ID, s.Damaged)
		}
		if err := s.Remove(); !errors.Is(err, ErrDamagedSession) {
			t.Errorf("%s: Remove = %v", s.ID, err)
		}
		if _, err := os.Stat(s.Dir()); err != nil {
			t.Error(err)
		}
		if _, err := state.Find(s.ID, ""); !errors.Is(err, ErrDamagedSession) {
			t.Errorf("%s: Find = %v", s.ID, err)
		}
	}
	if !errors.Is(all[2].Damaged, ErrNewerFormat) {
		t.Errorf("newer format: %v", all[2].Damaged)
	}
}

func TestFind(t *testing.T) {
	state := newState(t)
	mirror := filepath.Join(t.TempDir(), "m")
	link := filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Mkdir(mirror, 0o700), os.Symlink(mirror, link)); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Record{
		{ID: "abc000000001", Project: "/p", Name: "fix", State: SessionEnded},
		{ID: "abc000000002", Project: "/p", Name: "fix", State: SessionReady},
		{ID: "abd000000003", Project: "/q", Name: "fix", State: SessionReady, Mirror: mirror},
		{ID: "xyz000000004", Project: "/q", Name: "abd", State: SessionReady},
		{ID: "xyz000000005", Project: "/p", Name: "both", State: SessionReady},
		{ID: "xyz000000006", Project: "/q", Name: "both", State: SessionReady},
	} {
		writeSession(t, state, r)
	}
	for _, c := range []struct{ spec, project, want string }{
		{"abc000000001", "/q", "abc000000001"},
		{"xyz000000004", "", "xyz000000004"},
		{"fix", "/p", "abc000000002"}, // the live one of that project
		{"fix", "/q", "abd000000003"},
		{"abd", "/p", "xyz000000004"}, // a name before a prefix
		{"abd0", "/p", "abd000000003"},
		{mirror, "/p", "abd000000003"},
		{link + "/", "/p", "abd000000003"},
	} {
		got, err := state.Find(c.spec, c.project)
		if err != nil || got.ID != c.want {
			t.Errorf("Find(%q, %q) = %v, %v; want %s", c.spec, c.project, got, err, c.want)
		}
	}
	for spec, want := range map[string][]string{"xyz": {"xyz000000004", "xyz000000005", "xyz000000006"}, "both": {"xyz000000005", "xyz000000006"}} {
		_, err := state.Find(spec, "/other")
		var amb *AmbiguousError
		if !errors.As(err, &amb) || !slices.Equal(ids(amb.Candidates), want) || !strings.Contains(err.Error(), want[1]) {
			t.Errorf("Find(%q) = %v; want candidates %v", spec, err, want)
		}
	}
	for _, spec := range []string{"", "nothing", "/nowhere"} {
		if _, err := state.Find(spec, "/p"); !errors.Is(err, ErrNoSession) {
			t.Errorf("Find(%q) = %v; want ErrNoSession", spec, err)
		}
	}
}

func TestListOfNothing(t *testing.T) {
	if got, err := newState(t).List(""); err != nil || len(got) != 0 {
		t.Errorf("List = %v, %v", got, err)
	}
}

func TestRemoveTakesFolderAndOwnStoreOnly(t *testing.T) {
	state, outside := newState(t), t.TempDir()
	s := mustNew(t, state, "/p", Record{Name: "x"})
	own := filepath.Join(outside, ".alca-mount-0", s.ID)
	foreign := filepath.Join(outside, "precious", s.ID)
	keep := filepath.Join(outside, "keep")
	for _, dir := range []string{own, foreign, filepath.Join(s.Dir(), "store", "shut"), keep} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(dir, "f"), nil, 0o600)
	}
	os.Symlink(keep, filepath.Join(s.Dir(), "held"))
	os.Chmod(filepath.Join(s.Dir(), "store", "shut"), 0o555)
	s.Stores = [2]string{own, foreign}
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(); err != nil {
		t.Fatal(err)
	}
	for path, there := range map[string]bool{s.Dir(): false, own: false, filepath.Join(foreign, "f"): true, filepath.Join(keep, "f"): true} {
		if _, err := os.Lstat(path); (err == nil) != there {
			t.Errorf("%s: %v; want there = %v", path, err, there)
		}
	}
	if got, err := state.List(""); err != nil || len(got) != 0 {
		t.Errorf("List = %v, %v", ids(got), err)
	}
}

func TestRemoveKeepsMirrorOfAnother(t *testing.T) {
	s := mustNew(t, newState(t), "/p", Record{State: SessionReady})
	file := filepath.Join(s.Dir(), "mirror", "work")
	if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(); !errors.Is(err, safety.ErrNoMarker) {
		t.Errorf("Remove = %v; want ErrNoMarker", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestRemoveRefusesSessionInUse(t *testing.T) {
	state := newState(t)
	s := mustNew(t, state, "/p", Record{})
	other, err := state.Find(s.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	var locked *safety.LockedError
	if err := other.Remove(); !errors.As(err, &locked) {
		t.Errorf("Remove = %v; want LockedError", err)
	}
	if _, err := os.Stat(s.recordPath()); err != nil {
		t.Error(err)
	}
}

func TestRemoveRefusesRecordThatPointsElsewhere(t *testing.T) {
	state := newState(t)
	s := mustNew(t, state, "/p", Record{})
	s.Project = "/q"
	if err := s.Remove(); err == nil {
		t.Error("removed")
	}
	if _, err := os.Stat(s.recordPath()); err != nil {
		t.Error(err)
	}
}

func TestDefaultStateDir(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	for xdg, want := range map[string]string{"": home + "/.local/state/alca-mount", "/x/y": "/x/y/alca-mount"} {
		t.Setenv("XDG_STATE_HOME", xdg)
		if got, err := DefaultStateDir(); err != nil || got.Path() != filepath.FromSlash(want) {
			t.Errorf("XDG_STATE_HOME=%q: %v, %v; want %s", xdg, got, err, want)
		}
	}
	t.Setenv("XDG_STATE_HOME", "rel")
	if _, err := DefaultStateDir(); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("relative: %v", err)
	}
}

func TestDefaultStateDirOfRootIsNotInAUsersHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	home := t.TempDir()
	if err := os.Chown(home, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	t.Setenv("XDG_STATE_HOME", "")
	if got, err := DefaultStateDir(); err != nil || strings.HasPrefix(got.Path(), home) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := NewStateDir(home).List(""); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("List in another user's directory: %v", err)
	}
}

func TestStateDirThatCannotBeMadeSaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	_, err := NewStateDir(filepath.Join(file, "state")).New("/p", Record{})
	if err == nil || !strings.Contains(err.Error(), "XDG_STATE_HOME") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

// Between the reading of a record and the look at who holds the session it may end well, or go.
func TestSessionThatEndedSinceItWasReadDidNotCrash(t *testing.T) {
	project := filepath.Join(t.TempDir(), "p")
	state := NewStateDir(filepath.Join(t.TempDir(), "state"))
	read := func(s *Session) *Session {
		all, err := state.List(project)
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		return all[0]
	}
	s, err := state.New(project, Record{State: SessionReady})
	if err != nil {
		t.Fatal(err)
	}
	early := read(s)
	if early.Crashed() {
		t.Error("held, and crashed")
	}
	if err := s.Unlock(); err != nil {
		t.Fatal(err)
	}
	if !read(s).Crashed() {
		t.Error("let go of in the middle, and not crashed")
	}
	if err := s.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(func(r *Record) { r.Kept = true }); err != nil {
		t.Fatal(err)
	}
	if err := s.Unlock(); err != nil {
		t.Fatal(err)
	}
	if early.Crashed() {
		t.Error("kept since it was read, and crashed")
	}
}
