package autosync_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
)

// A file that was written just before the mirror was built has no stamp, and its absence none either.
func TestDeletionOfAFileWithoutAStampIsSeen(t *testing.T) {
	p := newPair(t, "young = 1", "other = o")
	entry := p.m.Base.Get("young")
	entry.Project = mirror.Stamp{}
	p.m.Base.Put("young", entry)
	p.remove(p.project, "young")
	p.sync()
	p.wantMirror("young", "(absent)")
}

// The sizes say nothing here, and neither version is the base's: only the bytes tell them apart.
func TestEditsOfOneSizeOnBothSidesAreAConflict(t *testing.T) {
	p := newPair(t, "f = base")
	p.write(p.project, "f", "user-1")
	p.write(p.mirror, "f", "agent1")
	c := p.sync()
	p.wantProject("f", "agent1")
	p.wantKept(c.Conflicts, "f", "user-1")
}

// As a file system does that gives the number of a deleted file to the next that is made.
func TestTheNumberOfADeletedFileIsNoMove(t *testing.T) {
	p := newPair(t, ".agentignore = secret", "a = 1", "b = 2")
	p.remove(p.mirror, "a")
	p.write(p.mirror, "secret", "2")
	info, err := p.m.Root.Lstat("secret")
	p.must(err)
	entry := p.m.Base.Get("a")
	entry.Mirror.Ino, entry.Mirror.Dev = info.Ino, info.Dev
	p.m.Base.Put("a", entry)
	if c := p.sync(); len(c.Held) > 0 {
		t.Errorf("held = %+v", c.Held)
	}
	p.wantProject("a", "(absent)")
}

// A rule that is for directories alone holds for a path as soon as a side has a directory there.
func TestAPathIsAsHiddenAsAnyOfItsKinds(t *testing.T) {
	p := newPair(t, ".agentignore = secret/", "secret = a file", "b = 2")
	p.remove(p.mirror, "secret")
	p.write(p.mirror, "secret/inner", "agent's")
	c := p.sync()
	p.wantProject("secret", "a file")
	if len(c.Refused) == 0 || c.Refused[0].Path != "secret" {
		t.Errorf("refused = %+v", c.Refused)
	}
}

// The agent put a file where the project has a directory with a hidden file in it.
func TestAHeldVersionOutlivesTheMirror(t *testing.T) {
	p := newPair(t, ".agentignore = .env", "d/.env = S", "d/f = 1", "other = o")
	p.remove(p.mirror, "d")
	p.write(p.mirror, "d", "agent's")
	c := p.once(autosync.Options{Deletes: true, Final: true})
	p.wantProject("d/.env", "S")
	p.wantKept(c.Held, "d", "agent's")
}

// An ordinary user is bound by the modes of the mirror's read-only directories.
func TestReadOnlyDirectoriesAreFilledAndShutAgain(t *testing.T) {
	p := newPair(t, ".agentreadonly = conf/", "conf/a = 1", "conf/gone = 2", "conf/old = 3")
	p.write(p.project, "conf/new", "n")
	p.write(p.project, "conf/sub/deep", "d")
	p.write(p.project, "conf/old", "user's newer")
	p.remove(p.project, "conf/gone")
	p.sync()
	p.wantMirror("conf/new", "n")
	p.wantMirror("conf/sub/deep", "d")
	p.wantMirror("conf/old", "user's newer")
	p.wantMirror("conf/gone", "(absent)")
	for _, name := range []string{"conf", "conf/sub", "conf/new", "conf/old", "conf/sub/deep"} {
		if info, err := os.Stat(filepath.Join(p.mirror, name)); err != nil || info.Mode().Perm()&0o222 != 0 {
			t.Errorf("mirror %s: %v, %v", name, info.Mode(), err)
		}
	}
	p.wantNothingMore()
}

// The agent put a file where a directory was, and meanwhile the user edited in it.
func TestAnEditBelowADirectoryThatBecomesAFileIsAConflict(t *testing.T) {
	p := newPair(t, "d/edited = 1", "d/same = 2", "other = o")
	p.write(p.project, "d/edited", "user's")
	p.remove(p.mirror, "d")
	p.write(p.mirror, "d", "agent's")
	c := p.sync()
	p.wantProject("d", "agent's")
	p.wantKept(c.Conflicts, "d/edited", "user's")
	p.wantKept(c.Deleted, "d/same", "2")
}

// What the user made of a file that this session placed before is the user's, whichever inode it has.
func TestTheUsersEditOfAFileThatWePlacedIsKept(t *testing.T) {
	p := newPair(t, "f = first")
	p.write(p.mirror, "f", "agent's")
	p.sync()
	if err := os.WriteFile(filepath.Join(p.project, "f"), []byte("user's edit"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.sync()
	p.wantMirror("f", "user's edit")
	p.write(p.mirror, "f", "agent's again")
	p.sync()
	found := false
	for _, name := range []string{"store", "conflicts"} {
		_ = filepath.WalkDir(filepath.Join(p.m.Session.Dir(), name), func(path string, d os.DirEntry, err error) error {
			found = found || err == nil && d.Type().IsRegular() && read(t, path) == "user's edit"
			return nil
		})
	}
	if !found {
		t.Error("the user's edit is kept nowhere")
	}
}
