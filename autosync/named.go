package autosync

import (
	"errors"
	"slices"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// NamesNothing returns those of the paths that a session knows nothing of: neither the project nor the mirror has them,
// both sides never agreed on them, no call of the session was at or below them, and nothing waits there. A side that can't
// be looked at may have them.
func NamesNothing(s *mirror.Session, paths []safety.RelPath) ([]safety.RelPath, error) {
	var unknown []safety.RelPath
	for _, p := range paths {
		if !mayHave(s.Project, p) && (s.Mirror == "" || !mayHave(s.Mirror, p)) {
			unknown = append(unknown, p)
		}
	}
	if len(unknown) == 0 {
		return nil, nil
	}
	base, err := baseOf(s)
	if err != nil && !isAbsent(err) {
		return nil, err
	}
	records, rerr := readRecords(s)
	held, herr := ReadHeld(s.Dir())
	if err := errors.Join(rerr, herr); err != nil {
		return nil, err
	}
	known := func(p safety.RelPath) bool {
		at := func(q safety.RelPath) bool { return q.In(p) }
		return base != nil && base.Get(p) != (mirror.Entry{}) ||
			slices.ContainsFunc(records, func(r record) bool { return at(safety.RelPath(r.Path)) }) ||
			slices.ContainsFunc(held, func(h HeldChange) bool { return at(h.Path) })
	}
	return slices.DeleteFunc(unknown, known), nil
}

func mayHave(dir string, p safety.RelPath) bool {
	root, err := safety.OpenRoot(dir)
	if err != nil {
		return !isAbsent(err)
	}
	defer root.Close()
	info, err := root.Lstat(p)
	return err != nil || info.Kind != safety.Absent
}
