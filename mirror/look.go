package mirror

import (
	"errors"
	"io/fs"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// asMirrored turns a link of the project into what it is in the mirror: the same link with the mirror's target, under
// FollowLinks the file that it leads to, or nothing. So the two sides can be compared.
func (v view) asMirrored(p safety.RelPath, found Found) (Found, error) {
	if v.side != ProjectSide || found.Info.Kind != safety.Symlink {
		return found, nil
	}
	verdict := DecideLink(v.root, v.policy, v.links, v.root.Path(), p, found.Target)
	switch verdict.Action {
	case KeepLink:
		found.Target = verdict.Target
		return found, nil
	case CopyTarget:
		info, err := v.root.Lstat(verdict.File)
		if err != nil || info.Kind != safety.File {
			return Found{}, err
		}
		return Found{Info: info, Access: min(found.Access, dotfiles.ReadOnly), From: verdict.File}, nil
	}
	return Found{}, nil
}

// Look describes one path of a side as [Mirror.Scan] would list it; the zero Found is one that is not there or does not
// count. Under [Git], a path that git ignores is described too: only Scan asks git.
func (m *Mirror) Look(side Side, p safety.RelPath) (Found, error) {
	v := m.view(side)
	dir, name := split(p)
	if v.ours(dir, name) {
		return Found{}, nil
	}
	info, err := v.root.Lstat(p)
	if err != nil || info.Kind == safety.Absent {
		return Found{}, err
	}
	found := Found{Info: info, Access: m.Policy.Access(string(p), info.Kind == safety.Directory)}
	if !v.shows(found.Access) {
		return Found{}, nil
	}
	if info.Kind == safety.Symlink {
		found.Target, err = v.root.Readlink(p)
		if errors.Is(err, fs.ErrNotExist) {
			return Found{}, nil
		}
		if err != nil {
			return Found{}, err
		}
	}
	return v.asMirrored(p, found)
}
