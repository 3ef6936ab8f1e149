package autosync_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// kindChange is one case of TestApplyWithoutTheMirrorIsApplyWithIt: what the agent does, and the user while it waits.
type kindChange struct {
	lines       []string
	agent, user string
	stays       bool // nothing of it may come home
}

func kindChanges() map[string]kindChange {
	dir := []string{".vscode/tasks.json = user", ".vscode/d/f = user", "other = user"}
	hidden := append([]string{".agentignore = secret\nnode_modules\n", ".vscode/d/secret = s"}, dir...)
	return map[string]kindChange{
		"directory to file":                    {lines: dir, agent: `rm -r .vscode; echo file > .vscode`},
		"directory to link":                    {lines: dir, agent: `rm -r .vscode; ln -s other .vscode`},
		"directory to file, user's new file":   {lines: dir, agent: `rm -r .vscode; echo file > .vscode`, user: `mkdir .vscode/new; echo user > .vscode/new/f; chmod 700 .vscode/d`},
		"directory to file, user's edit":       {lines: dir, agent: `rm -r .vscode; echo file > .vscode`, user: `echo edited > .vscode/d/f`},
		"directory to file, user removed it":   {lines: dir, agent: `rm -r .vscode; echo file > .vscode`, user: `rm -r .vscode`},
		"directory to file, user's own file":   {lines: dir, agent: `rm -r .vscode; echo file > .vscode`, user: `rm -r .vscode; echo mine > .vscode`},
		"directory to file, hidden below":      {lines: hidden, agent: `rm -r .vscode; echo file > .vscode`, stays: true},
		"directory to link, hidden below":      {lines: hidden, agent: `rm -r .vscode; ln -s other .vscode`, stays: true},
		"directory to file, hidden since":      {lines: hidden[2:], agent: `rm -r .vscode; echo file > .vscode`, user: `mkdir -p .vscode/e/node_modules; echo x > .vscode/e/node_modules/x`, stays: true},
		"directory to file, link out since":    {lines: dir, agent: `rm -r .vscode; echo file > .vscode`, user: `ln -s /etc/passwd .vscode/d/out`, stays: true},
		"deep directory to file":               {lines: dir, agent: `rm -r .vscode/d; mkdir .vscode/e; mv .vscode/tasks.json .vscode/e; mkdir .vscode/tasks.json; echo x > .vscode/tasks.json/x; echo d > .vscode/d`},
		"directory is deleted":                 {lines: dir, agent: `rm -r .vscode`},
		"directory is deleted, new in it":      {lines: dir, agent: `rm -r .vscode`, user: `echo user > .vscode/new`},
		"directory is deleted, hidden in it":   {lines: hidden, agent: `rm -r .vscode`},
		"file to directory":                    {lines: []string{".envrc = user", "other = user"}, agent: `rm .envrc; mkdir -p .envrc/d; echo a > .envrc/a; echo b > .envrc/d/b; chmod 750 .envrc/d`},
		"file to directory, edited":            {lines: []string{".envrc = user", "other = user"}, agent: `rm .envrc; mkdir -p .envrc/d; echo a > .envrc/a`, user: `echo edited > .envrc`},
		"file to directory, hidden in it":      {lines: []string{".agentignore = secret\n", ".envrc = user"}, agent: `rm .envrc; mkdir -p .envrc/node_modules .envrc/d; echo a > .envrc/a; echo s > .envrc/secret; echo n > .envrc/node_modules/n; echo s > .envrc/d/secret`},
		"file to directory, read-only in it":   {lines: []string{".agentreadonly = ro\n", ".envrc = user"}, agent: `rm .envrc; mkdir -p .envrc/d; echo a > .envrc/a; echo s > .envrc/ro`},
		"link to directory":                    {lines: []string{".husky -> other", "other = user"}, agent: `rm .husky; mkdir .husky; echo a > .husky/a`},
		"link to file":                         {lines: []string{".envrc -> other", "other = user"}, agent: `rm .envrc; echo a > .envrc`},
		"file to link":                         {lines: []string{".envrc = user", "other = user"}, agent: `rm .envrc; ln -s other .envrc`},
		"file, user's directory":               {lines: []string{".envrc = user", "other = user"}, agent: `echo agent > .envrc`, user: `rm .envrc; mkdir -p .envrc/d; echo user > .envrc/d/f`},
		"file, user removed its directory":     {lines: dir, agent: `echo agent > .vscode/tasks.json`, user: `rm -r .vscode`},
		"file, user's file for its directory":  {lines: dir, agent: `echo agent > .vscode/tasks.json`, user: `rm -r .vscode; echo user > .vscode`},
		"file, user's link for its directory":  {lines: dir, agent: `echo agent > .vscode/tasks.json`, user: `mv .vscode elsewhere; ln -s /etc .vscode`, stays: true},
		"executable bit":                       {lines: []string{".envrc = user"}, agent: `chmod +x .envrc`},
		"what the user did as well":            {lines: []string{".envrc = user"}, agent: `echo same > .envrc`, user: `echo same > .envrc`},
		"below a directory with hidden things": {lines: hidden, agent: `echo agent > .vscode/tasks.json; rm -r .vscode/d; echo file > .vscode/d`},
	}
}

// What is held comes home by the same plan, whether the mirror is still there or not: whole or not at all. An undo of it
// takes all of it back, with what it displaced of the user's.
func TestApplyWithoutTheMirrorIsApplyWithIt(t *testing.T) {
	for name, c := range kindChanges() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			with, without := newPair(t, c.lines...), newPair(t, c.lines...)
			attack(t, with, c.agent)
			attack(t, without, c.agent)
			with.once(autosync.Options{Deletes: true})
			without.once(autosync.Options{Deletes: true, Final: true})
			without.must(os.RemoveAll(without.mirror))
			script(t, with.project, c.user)
			script(t, without.project, c.user)
			before := copyOf(t, without.project)
			with.once(autosync.Options{Deletes: true, OnlyToProject: true, Approved: true})
			session, changes, err := autosync.ApplyHeld(t.Context(), without.state(), without.m.Session, nil)
			without.must(err)
			without.is("failed", notePaths(changes.Failed), "")
			without.is("against the apply with a mirror", unlikeButTimes(t, with.project, without.project), "")
			if c.stays {
				without.is("what stays", unlike(t, before, without.project), "")
			}
			held, err := autosync.ReadHeld(without.m.Session.Dir())
			without.must(err)
			without.is("held", heldPaths(held), notePaths(changes.Held))
			if session != "" {
				without.undo(without.session(session), autosync.UndoOptions{})
			}
			without.is("after the undo", unlike(t, before, without.project), "")
		})
	}
}

func script(t *testing.T, dir, text string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", text)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", text, err, out)
	}
}

// unlikeButTimes is unlike, for trees that were made at two times.
func unlikeButTimes(t *testing.T, want, got string) string {
	t.Helper()
	out, err := exec.Command("rsync", "-rlpin", "--checksum", "--delete", want+"/", got+"/").CombinedOutput()
	if err != nil {
		t.Fatalf("rsync: %v %s", err, out)
	}
	return string(out)
}

func heldPaths(held []autosync.HeldChange) string {
	var notes []autosync.PathNote
	for _, h := range held {
		notes = append(notes, autosync.PathNote{Path: h.Path})
	}
	return notePaths(notes)
}

// Only what is asked for comes home, with the directories that it needs; what could only go with something else stays.
func TestApplyOfSomePathsWithoutTheMirror(t *testing.T) {
	p := newPair(t, ".envrc = user", ".vscode/tasks.json = user")
	attack(t, p, `rm .envrc; mkdir .envrc; echo a > .envrc/a; echo b > .envrc/b; rm -r .vscode; echo file > .vscode`)
	p.once(autosync.Options{Deletes: true, Final: true})
	_, c, err := autosync.ApplyHeld(t.Context(), p.state(), p.m.Session, []safety.RelPath{".envrc/a", ".vscode/tasks.json"})
	p.must(err)
	p.wantProject(".envrc/a", "a\n")
	p.wantProject(".envrc/b", "(absent)")
	p.wantProject(".vscode/tasks.json", "user")
	p.is("held", notePaths(c.Held), ".vscode/tasks.json")
	_, c, err = autosync.ApplyHeld(t.Context(), p.state(), p.m.Session, nil)
	p.must(err)
	p.is("held", notePaths(c.Held), "")
	p.wantProject(".envrc/b", "b\n")
	p.wantProject(".vscode", "file\n")
}

// What a power cut, or anybody, made of what is kept does not come home: the good version stays, and the change is held.
func TestApplyRefusesWhatIsNotAsItWasSetAside(t *testing.T) {
	for name, damage := range map[string]string{"empty": `: > .envrc`, "other bytes": `printf 'AGENT\n' > .envrc`, "a link": `rm .envrc; ln -s /etc/passwd .envrc`, "gone": `rm .envrc`} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, ".envrc = user12", ".vscode/tasks.json = user")
			attack(t, p, `echo agent > .envrc; rm -r .vscode; echo file > .vscode`) // of one size: both are hashed
			p.once(autosync.Options{Deletes: true, Final: true})
			kept := filepath.Join(p.m.Session.Dir(), "held")
			script(t, kept, damage+`; : > .vscode`)
			_, c, err := autosync.ApplyHeld(t.Context(), p.state(), p.m.Session, nil)
			p.must(err)
			p.is("failed", notePaths(c.Failed), ".envrc .vscode")
			p.wantProject(".envrc", "user12")
			p.wantProject(".vscode/tasks.json", "user")
			held, err := autosync.ReadHeld(p.m.Session.Dir())
			p.must(err)
			p.is("held", heldPaths(held), ".envrc .vscode .vscode/tasks.json")
		})
	}
}

// What the agent made at hidden paths of a directory that is held is an orphan as any other, and is there when the held
// directory has come home without it.
func TestOrphansInAHeldDirectoryAreSetAside(t *testing.T) {
	p := newPair(t, ".agentignore = secret\n", ".envrc = user")
	attack(t, p, `rm .envrc; mkdir .envrc; echo a > .envrc/a; echo s > .envrc/secret`)
	c := p.once(autosync.Options{Deletes: true, Final: true})
	p.is("orphans", notePaths(c.Orphans), ".envrc/secret")
	p.wantKept(c.Orphans, ".envrc/secret", "s\n")
	p.wantKept(c.Held, ".envrc/a", "a\n")
}

// A directory that stays for a file which may not be touched keeps what is in it: the agent's file does not come, so that
// nothing makes room for it.
func TestNothingIsDeletedForAHeldFileThatCannotCome(t *testing.T) {
	p := newPair(t, ".agentreadonly = ro\n", ".vscode/tasks.json = user")
	attack(t, p, `rm -r .vscode; echo file > .vscode`)
	p.once(autosync.Options{Deletes: true, Final: true})
	p.write(p.project, ".vscode/ro", "user")
	session, c, err := autosync.ApplyHeld(t.Context(), p.state(), p.m.Session, nil)
	p.must(err)
	p.is("held", notePaths(c.Held), ".vscode .vscode/tasks.json")
	p.is("session", session, "")
	p.wantProject(".vscode/tasks.json", "user")
}

// Whatever call of an apply fails, alone or with all that follow, another apply ends where one that did not fail does, and
// undoing both takes all of it back.
func TestApplyOnAFailingDiskIsDoneByAnother(t *testing.T) {
	ways := failings()
	ways["one look"] = failing{counts: func(op safety.Op) bool { return op == safety.OpLstat }, step: 1}
	for what, fails := range ways {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for at := 1; fails.inApply(t, at); at += fails.step {
			}
		})
	}
}

// inApply makes the call at fail in an apply. It reports whether there were as many.
func (f failing) inApply(t *testing.T, at int) bool {
	p := newPair(t, ".envrc = user", ".vscode/tasks.json = user", ".vscode/d/f = user", ".husky -> other", "other = user")
	attack(t, p, `rm .envrc .husky; mkdir .envrc .husky; echo a > .envrc/a; echo h > .husky/h; rm -r .vscode; echo file > .vscode`)
	p.once(autosync.Options{Deletes: true, Final: true})
	p.write(p.project, ".vscode/d/new", "user")
	before := copyOf(t, p.project)
	fail, failed := f.from(at)
	_, _, _ = autosync.ApplyHeldSeen(t.Context(), p.state(), p.m.Session, fail)
	_, c, err := autosync.ApplyHeld(t.Context(), p.state(), p.m.Session, nil)
	p.must(err)
	when := fmt.Sprintf("call %d (%s) failed, stays %v: %+v", at, *failed, f.stays, c)
	held, err := autosync.ReadHeld(p.m.Session.Dir())
	p.must(err)
	p.is("held after "+when, heldPaths(held), "")
	p.is("failed after "+when, notePaths(c.Failed), "")
	for name, want := range map[string]string{".envrc/a": "a\n", ".husky/h": "h\n", ".vscode": "file\n", "other": "user"} {
		p.wantProject(name, want)
	}
	applies, err := p.state().List(p.project)
	p.must(err)
	slices.SortFunc(applies, func(a, b *mirror.Session) int { return b.Created.Compare(a.Created) })
	for _, s := range applies {
		if s.Undoes == p.m.Session.ID {
			p.undo(s, autosync.UndoOptions{Force: f.stays}) // a directory that could be made and not looked at counts as the user's
		}
	}
	if d := unlike(t, before, p.project); d != "" && !onlyDirTimes(d) {
		t.Errorf("undone after %s:\n%s", when, d)
	}
	return *failed != "" && !t.Failed()
}

// TestApplyChild is the process that TestApplySurvivesKills kills.
func TestApplyChild(t *testing.T) {
	state, s, kill := toBeKilled(t)
	if _, _, err := autosync.ApplyHeldSeen(t.Context(), state, s, kill); err != nil {
		t.Fatal(err)
	}
}

// After a kill at a call that moves something, another apply brings home the rest.
func TestApplySurvivesKills(t *testing.T) {
	for _, op := range []safety.Op{safety.OpBringIn, safety.OpInspect, safety.OpDelete, safety.OpExchange, safety.OpMkdir} {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, ".envrc = user", ".vscode/tasks.json = user", ".idea/x = user")
			attack(t, p, `rm .envrc; mkdir .envrc; echo a > .envrc/a; rm -r .vscode; echo file > .vscode; echo i > .idea/x`)
			p.once(autosync.Options{Deletes: true, Final: true})
			if !p.killedAt("TestApplyChild", string(op)) {
				t.Fatalf("an apply made no call %s", op)
			}
			_, c, err := autosync.ApplyHeld(t.Context(), p.state(), p.m.Session, nil)
			p.must(err)
			p.is("failed", notePaths(c.Failed), "")
			p.is("held", notePaths(c.Held), "")
			for name, want := range map[string]string{".envrc/a": "a\n", ".vscode": "file\n", ".idea/x": "i\n"} {
				p.wantProject(name, want)
			}
		})
	}
}

// A version that the agent made unreadable is the user's to have all the same.
func TestApplyOfWhatTheAgentMadeUnreadable(t *testing.T) {
	p := newPair(t, ".envrc = user")
	attack(t, p, `echo agent12 > .envrc; chmod 000 .envrc`)
	p.once(autosync.Options{Deletes: true, Final: true})
	_, c, err := autosync.ApplyHeld(t.Context(), p.state(), p.m.Session, nil)
	p.must(err)
	p.is("failed", notePaths(c.Failed), "")
	p.must(os.Chmod(filepath.Join(p.project, ".envrc"), 0o600))
	p.wantProject(".envrc", "agent12\n")
}
