package autosync

import (
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Brought is what a session changed in its project so far, as its journal tells: files alone, in Changes.ToProject and
// Changes.Deleted, sorted by path. It is for a session whose launch died and could not tell it; whether the user changed
// it since is not looked at. The caller has the session's lock.
func Brought(s *mirror.Session) (Changes, error) {
	records, err := readRecords(s)
	if err != nil {
		return Changes{}, err
	}
	var c Changes
	list, _ := changesIn(records)
	for _, one := range list {
		switch after := one.after.State; {
		case after.Kind == safety.Directory || after.Absent() && one.before.stamp.Kind == safety.Directory:
		case after.Absent():
			c.Deleted = append(c.Deleted, PathNote{Path: one.path})
		default:
			c.ToProject = append(c.ToProject, one.path)
		}
	}
	return c, nil
}
