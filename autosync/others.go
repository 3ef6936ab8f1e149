package autosync

import (
	"os"
	"path/filepath"

	"github.com/alca-mount/alca-mount/autosync/internal/journal"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// others are the project's other sessions, as far as their journals tell.
type others struct {
	dir  string // of the project's sessions
	own  string
	read map[string]otherJournal // by session
}

// otherJournal is what a session placed in the project last, by path, when its journal had this size.
type otherJournal struct {
	size   int64
	placed map[safety.RelPath]mirror.Stamp
}

// writerOf is the session that placed the project's file at p; "": none did. A journal that can't be read tells nothing.
func (o *others) writerOf(p safety.RelPath, info safety.Info) string {
	sessions, err := os.ReadDir(o.dir)
	if err != nil || info.Kind != safety.File {
		return ""
	}
	for _, s := range sessions { // sorted by name
		if s.Name() == o.own {
			continue
		}
		// The exchange that takes a file out moves its ctime.
		if at := o.placedBy(s.Name())[p]; at != (mirror.Stamp{}) && at.Ino == info.Ino && at.Size == info.Size && at.Mtime == info.Mtime {
			return s.Name()
		}
	}
	return ""
}

func (o *others) placedBy(session string) map[safety.RelPath]mirror.Stamp {
	path := filepath.Join(o.dir, session, "journal")
	info, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	if known, ok := o.read[session]; ok && known.size == info.Size() {
		return known.placed
	}
	now := otherJournal{info.Size(), map[safety.RelPath]mirror.Stamp{}}
	_ = journal.Read(path, func(r record) error { // what came before a damage counts
		switch {
		case r.Side != mirror.ProjectSide:
		case r.Type == recordIntent && r.Staged != nil:
			now.placed[safety.RelPath(r.Path)] = *r.Staged
		case r.Type == recordDone && r.Base != nil:
			now.placed[safety.RelPath(r.Path)] = r.Base.Project
		}
		return nil
	})
	if o.read == nil {
		o.read = map[string]otherJournal{}
	}
	o.read[session] = now
	return now.placed
}
