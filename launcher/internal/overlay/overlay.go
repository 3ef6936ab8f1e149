// Package overlay keeps the directories that an agent has a copy of its own of (node_modules, .venv, target …), from
// one session to the next. The user's own directories are only ever read, and only one session at a time has a copy.
package overlay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// Record is overlay.json.
type Record struct {
	Path   safety.RelPath `json:"path"`
	Agent  string         `json:"agent,omitempty"`
	Seed   string         `json:"seed"`
	Digest string         `json:"digest,omitempty"` // of what it was seeded for; "": it never was, to the end
	Rules  string         `json:"rules,omitempty"`  // of what was hidden when it was copied
	Seeded time.Time      `json:"seeded,omitzero"`
	Used   time.Time      `json:"used,omitzero"`
	At     string         `json:"at,omitempty"` // the absolute path that it was last used at
	// Where it is while a plain launch has it: in that session's mirror. After a kill it is fetched from there.
	Session string `json:"session,omitempty"`
	Mirror  string `json:"mirror,omitempty"`
}

const (
	folder     = "overlays"
	recordName = "overlay.json"
	lockName   = "lock"
	newName    = "new"
	// TreeName is what the directory itself is called, where it is kept.
	TreeName safety.RelPath = "tree"
)

// Overlay is one that this process has.
type Overlay struct {
	Record
	dir  string
	lock *safety.Lock
}

// nameOf is the folder of a path: readable, and one for each path.
func nameOf(p safety.RelPath) string {
	return strings.NewReplacer("%", "%25", "/", "%2F").Replace(string(p))
}

func agentFolder(agent string) string {
	if agent == "" {
		return "_" // no agent's name is that short of letters and digits alone: see dotfiles.ValidAgent
	}
	return "agent-" + agent
}

// Open takes the overlay at p of a project's folder in the state directory; *safety.LockedError when another session
// has it.
func Open(projectDir, agent string, p safety.RelPath) (*Overlay, error) {
	return open(filepath.Join(projectDir, folder, agentFolder(agent), nameOf(p)), Record{Path: p, Agent: agent})
}

// OpenPrivate makes one that is gone with its session, in the session's folder.
func OpenPrivate(sessionDir string, p safety.RelPath) (*Overlay, error) {
	return open(filepath.Join(sessionDir, folder, nameOf(p)), Record{Path: p})
}

func open(dir string, fresh Record) (*Overlay, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := safety.TryLock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	o := &Overlay{Record: fresh, dir: dir, lock: lock}
	data, err := os.ReadFile(filepath.Join(dir, recordName))
	if err == nil {
		var r Record
		if json.Unmarshal(data, &r) == nil && r.Path == fresh.Path {
			o.Record = r // one that can't be read was never finished: it is seeded anew
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, lock.Unlock())
	}
	return o, nil
}

// Save writes the record durably.
func (o *Overlay) Save() error {
	data, err := json.Marshal(o.Record)
	if err != nil {
		return err
	}
	return safety.WriteFileDurably(filepath.Join(o.dir, recordName), append(data, '\n'), 0o600)
}

// Close gives it up.
func (o *Overlay) Close() error {
	if o.lock == nil {
		return nil
	}
	lock := o.lock
	o.lock = nil
	return lock.Unlock()
}

// Tree is where the directory is while nobody has it in a mirror.
func (o *Overlay) Tree() string { return filepath.Join(o.dir, string(TreeName)) }

// Dir is the overlay's folder.
func (o *Overlay) Dir() string { return o.dir }

// Exists reports whether there is a whole directory to use.
func (o *Overlay) Exists() bool {
	info, err := os.Lstat(o.Tree())
	return err == nil && info.IsDir()
}

// Drop removes the directory; the next use seeds it anew. The record goes first: half a directory is never taken for one.
func (o *Overlay) Drop() error {
	o.Digest, o.Session, o.Mirror = "", "", ""
	if err := o.Save(); err != nil {
		return err
	}
	return errors.Join(o.removeIn(string(TreeName)), o.removeIn(newName))
}

func (o *Overlay) removeIn(name string) error {
	root, err := os.OpenRoot(o.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	err = root.RemoveAll(name)
	if errors.Is(err, fs.ErrPermission) {
		err = errors.Join(openUp(root, name), root.RemoveAll(name))
	}
	return err
}

// openUp makes directories that were made unwritable, as some tools do with their caches, ready to be removed.
func openUp(root *os.Root, name string) error {
	return fs.WalkDir(root.FS(), name, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			return root.Chmod(p, 0o700)
		}
		return nil
	})
}

// Remove drops the overlay and all that is known of it.
func (o *Overlay) Remove() error {
	err := errors.Join(o.Drop(), os.Remove(filepath.Join(o.dir, recordName)), o.Close())
	if err == nil {
		err = os.Remove(o.dir)
	}
	_ = os.Remove(filepath.Dir(o.dir)) // only when it was the last
	return err
}

// Make makes the directory anew with fill, which gets an empty directory and makes it at Path below; nil, or nothing
// made: it begins empty. A crash in between leaves none.
func (o *Overlay) Make(fill func(dir string) error) error {
	if err := o.Drop(); err != nil {
		return err
	}
	dir := filepath.Join(o.dir, newName)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if fill != nil {
		if err := fill(dir); err != nil {
			return errors.Join(err, o.removeIn(newName))
		}
	}
	made := filepath.Join(dir, filepath.FromSlash(string(o.Path)))
	if err := os.MkdirAll(filepath.Dir(made), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(made, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := moveDir(made, o.Tree()); err != nil {
		return err
	}
	return o.removeIn(newName)
}

// moveDir renames a directory that may be write-protected itself: only who may write to it may move it.
func moveDir(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil || !info.IsDir() {
		return errors.Join(fmt.Errorf("%s: expected a directory", from), err)
	}
	if err := os.Chmod(from, info.Mode().Perm()|0o700); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return os.Chmod(to, info.Mode().Perm())
}

// PutInto moves the directory to its path in a mirror.
func (o *Overlay) PutInto(ctx context.Context, mirror *safety.Root, session string) error {
	root, err := safety.OpenRoot(o.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	o.Session, o.Mirror = session, mirror.Path()
	if err := o.Save(); err != nil {
		return err
	}
	return Writable(mirror, o.Path.Dir(), func() error { return root.MoveOut(ctx, TreeName, mirror, o.Path) })
}

// Writable calls do, and once more with the directory dir open for its owner if do may not change what is in it: the mirror's
// copy of a write-protected directory is so too.
func Writable(root *safety.Root, dir safety.RelPath, do func() error) error {
	err := do()
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	info, lookErr := root.Lstat(dir)
	if lookErr != nil || info.Kind != safety.Directory || root.Chmod(dir, info, info.Mode|0o300) != nil {
		return err
	}
	return errors.Join(do(), root.Chmod(dir, info, info.Mode))
}

// TakeOut moves the directory back from a mirror. What the agent left there that is no directory stays behind; and where
// nothing is left, the next use seeds anew.
func (o *Overlay) TakeOut(ctx context.Context, mirror *safety.Root) error {
	info, err := mirror.Lstat(o.Path)
	if err != nil {
		return err
	}
	if info.Kind == safety.Directory && !o.Exists() {
		root, err := safety.OpenRoot(o.dir)
		if err != nil {
			return err
		}
		defer root.Close()
		err = Writable(mirror, o.Path.Dir(), func() error { return mirror.MoveOut(ctx, o.Path, root, TreeName) })
		if err != nil {
			return err
		}
	}
	o.Session, o.Mirror = "", ""
	if !o.Exists() {
		o.Digest = ""
	}
	return o.Save()
}

// Fetch brings back the directory that a session left in its mirror when it was killed. A mirror that is gone, or is
// another session's by now, has none.
func (o *Overlay) Fetch(ctx context.Context) error {
	if o.Session == "" || o.Exists() {
		return nil
	}
	mirror, err := safety.OpenRoot(o.Mirror)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer mirror.Close()
	if session, err := safety.ReadMarker(mirror); err != nil || session != o.Session {
		return nil
	}
	return o.TakeOut(ctx, mirror)
}

// List returns what is kept for a project, sorted by agent and path. They are not taken.
func List(projectDir string) ([]*Overlay, error) {
	dirs, err := filepath.Glob(filepath.Join(escapeGlob(projectDir), folder, "*", "*"))
	if err != nil {
		return nil, err
	}
	var out []*Overlay
	for _, dir := range dirs {
		data, err := os.ReadFile(filepath.Join(dir, recordName))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		o := &Overlay{dir: dir}
		if err == nil {
			err = json.Unmarshal(data, &o.Record)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, recordName), err)
		}
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b *Overlay) int {
		return strings.Compare(a.Agent+"\x00"+string(a.Path), b.Agent+"\x00"+string(b.Path))
	})
	return out, nil
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}

// Take is Open of one that was listed.
func (o *Overlay) Take() (*Overlay, error) { return open(o.dir, Record{Path: o.Path, Agent: o.Agent}) }

// Of returns those that a session has in its mirror.
func Of(projectDir, session string) ([]*Overlay, error) {
	all, err := List(projectDir)
	return slices.DeleteFunc(all, func(o *Overlay) bool { return o.Session != session }), err
}
