package watch

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/alca-mount/alca-mount/safety"
)

// arrive watches whatever directories there are now at p and below, and hints at all that is in them. It is called for
// each event that may have put another directory at p, or taken it away.
func (w *Watcher) arrive(p safety.RelPath) {
	w.walk(w.ctx, p, w.tell)
}

// walk enters p and the wanted directories below it. Each is watched before it is listed: what is made in it later
// raises an event, what was made before is in the list.
func (w *Watcher) walk(ctx context.Context, p safety.RelPath, tell func([]Hint)) {
	for todo := []safety.RelPath{p}; len(todo) > 0 && ctx.Err() == nil; {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !w.enter(p, nil) {
			continue
		}
		list := w.list(p)
		if tell != nil {
			tell(found(p, list))
		}
		todo = append(todo, directories(p, list)...)
	}
}

// enter sets the watch of p, which may be open as d, and reports whether there is a watched directory. One that no scan
// looks into has none either.
func (w *Watcher) enter(p safety.RelPath, d *safety.Dir) bool {
	if p != safety.Top && (!w.want(p) || len(p) > safety.MaxDirPath) {
		w.Forget(p)
		return false
	}
	err := w.backend.watch(p, d)
	if err == nil || errors.Is(err, errNoDir) || errors.Is(err, errUnreadable) || errors.Is(err, ErrClosed) {
		// Nobody may list an unreadable directory either. Once it may be read, an event of it says so.
		w.health.settle(p)
		return err == nil
	}
	w.health.miss(p, err.Error())
	return false
}

// list reads the directory p, with the kinds of all entries.
func (w *Watcher) list(p safety.RelPath) []safety.Dirent {
	d, err := w.root.OpenDir(p)
	if err != nil {
		w.unlisted(p, err)
		return nil
	}
	defer d.Close()
	list, err := d.ReadDir()
	if err != nil {
		w.unlisted(p, err)
	}
	for i, e := range list {
		if e.Kind == safety.Absent {
			info, _ := d.Lstat(e.Name) // absent now: its removal raises an event
			list[i].Kind = info.Kind
		}
	}
	return list
}

// unlisted judges an error of listing p. A p that is gone or was replaced since it was watched raises an event.
func (w *Watcher) unlisted(p safety.RelPath, err error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, safety.ErrChanged) || errors.Is(err, syscall.ENOTDIR) {
		return
	}
	w.health.miss(p, err.Error())
}

func found(dir safety.RelPath, list []safety.Dirent) []Hint {
	hints := make([]Hint, len(list))
	for i, e := range list {
		isDir := e.Kind == safety.Directory
		hints[i] = Hint{Path: dir.Join(e.Name), Urgency: Probe, IsDir: isDir, NewDir: isDir}
	}
	return hints
}

func directories(dir safety.RelPath, list []safety.Dirent) []safety.RelPath {
	var out []safety.RelPath
	for _, e := range list {
		if e.Kind == safety.Directory {
			out = append(out, dir.Join(e.Name))
		}
	}
	return out
}
