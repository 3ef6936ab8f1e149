package autosync

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// heldName is the file of a session that lists what was held when its mirror went.
const heldName = "held.json"

// HeldChange is a change of the agent's that waits in a session whose mirror is gone.
type HeldChange struct {
	Path    safety.RelPath
	Hold    HoldKind
	Why     string
	Kept    string       // where the mirror's version lies; "" for a deletion
	Version mirror.State // the mirror's; absent: the change is a deletion
	Base    mirror.State // what both sides agreed on before: a project that differs was changed since
}

// storedHeld is a HeldChange as it is stored. Paths and targets are bytes; Kept is relative to the session's folder.
type storedHeld struct {
	Path    []byte       `json:"path"`
	Hold    HoldKind     `json:"hold"`
	Why     string       `json:"why"`
	Kept    []byte       `json:"kept,omitempty"`
	Version mirror.State `json:"version"`
	Base    mirror.State `json:"base"`
	Targets [2][]byte    `json:"targets"` // of Version and Base, where they are links
}

// ReadHeld lists, sorted by path, what waits in the folder dir of a session: what was moved there when its mirror was to
// go. Where a mirror is still there, it may hold more, which is not listed.
func ReadHeld(dir string) ([]HeldChange, error) {
	data, err := os.ReadFile(filepath.Join(dir, heldName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var stored []storedHeld
	if err == nil {
		err = json.Unmarshal(data, &stored)
	}
	if err != nil {
		return nil, fmt.Errorf("read what is held: %w", err)
	}
	out := make([]HeldChange, len(stored))
	for i, s := range stored {
		h := HeldChange{Path: safety.RelPath(s.Path), Hold: s.Hold, Why: s.Why, Version: s.Version, Base: s.Base}
		h.Version.Target, h.Base.Target = string(s.Targets[0]), string(s.Targets[1])
		switch {
		case len(s.Kept) > 0:
			h.Kept = filepath.Join(dir, filepath.FromSlash(string(s.Kept)))
		case !h.Version.Absent(): // cut short between the move and its record
			h.Kept = filepath.Join(dir, heldFolder, filepath.FromSlash(string(s.Path)))
		}
		out[i] = h
	}
	return out, nil
}

// WriteHeld stores, durably, what waits in the session whose folder is dir.
func WriteHeld(dir string, list []HeldChange) error {
	slices.SortFunc(list, func(a, b HeldChange) int { return cmp.Compare(a.Path, b.Path) })
	stored := make([]storedHeld, len(list))
	for i, h := range list {
		stored[i] = storedHeld{Path: []byte(h.Path), Hold: h.Hold, Why: h.Why, Version: h.Version, Base: h.Base,
			Targets: [2][]byte{[]byte(h.Version.Target), []byte(h.Base.Target)}}
		if kept, ok := strings.CutPrefix(h.Kept, dir+string(filepath.Separator)); ok {
			stored[i].Kept = []byte(filepath.ToSlash(kept))
		}
	}
	data, err := json.Marshal(stored)
	if err == nil {
		err = safety.WriteFileDurably(filepath.Join(dir, heldName), append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("store what is held: %w", err)
	}
	return nil
}

// isIn reports whether a list has the change again: the one before was noted, and cut short before its version was moved.
// A version that can't be looked for may be there.
func (h HeldChange) isIn(list []HeldChange) bool {
	if _, err := os.Lstat(h.Kept); h.Kept != "" && !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return slices.ContainsFunc(list, func(now HeldChange) bool { return now.Path == h.Path })
}

// earlierHeld is what waits in the session from before.
func (e *engine) earlierHeld() ([]HeldChange, error) {
	if before := e.m.Project.Before(); before != nil {
		if err := before(safety.OpFileOpen, heldName); err != nil {
			return nil, fmt.Errorf("read what is held: %w", err)
		}
	}
	return ReadHeld(e.m.Session.Dir())
}

// asSetAside is a held version as it was moved: a program that outlived the command may have written to it since it was
// looked at.
func (e *engine) asSetAside(n PathNote, seen mirror.State) mirror.State {
	if n.Kept == "" || seen.Kind != safety.File {
		return seen
	}
	was := e.view.mirrored.Get(n.Path).Info
	now, err := e.keepRoot.Lstat(relativeTo(e.keepRoot.Path(), n.Kept))
	if err == nil && now.Kind == safety.File && (now.Size != was.Size || now.Mtime != was.Mtime) {
		seen.Exec, seen.Content = now.Exec(), mirror.Content{Size: now.Size}
	}
	return seen
}

// holdAside moves the held versions out of the mirror. The list is written before as well: a kill in between must not
// leave versions of which nothing tells.
func (e *engine) holdAside() {
	if len(e.changes.Held) == 0 {
		return
	}
	list := make([]HeldChange, len(e.changes.Held))
	for i, n := range e.changes.Held {
		lk := e.view.lookOf(n.Path)
		list[i] = HeldChange{Path: n.Path, Hold: n.Hold, Why: n.Why, Version: lk.mirrored, Base: lk.base}
	}
	earlier, err := e.earlierHeld()
	earlier = slices.DeleteFunc(earlier, func(h HeldChange) bool { return h.isIn(list) })
	if err == nil {
		err = WriteHeld(e.m.Session.Dir(), append(earlier, list...))
	}
	if err != nil {
		for _, n := range e.changes.Held {
			e.failNow(n.Path, err)
		}
		return
	}
	e.setAside(each(e.changes.Held), heldFolder)
	for i, n := range e.changes.Held {
		list[i].Kept = n.Kept
		list[i].Version = e.asSetAside(n, list[i].Version)
	}
	if err := e.syncAside(); err != nil {
		e.failNow("", err)
	}
	if err := WriteHeld(e.m.Session.Dir(), append(earlier, list...)); err != nil {
		e.failNow("", err)
	}
}
