package mirror

import (
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// ReadOnly is an entry that the rules have read-only, and which is in no directory that is.
type ReadOnly struct {
	Path safety.RelPath
	Kind safety.Kind
}

// builtReadOnly is what a build met that is read-only, so that who needs it next need not go through the base for it.
type builtReadOnly struct {
	list []ReadOnly
	puts uint64 // Base.puts by then
}

// ReadOnly lists what both sides agree on that the rules have read-only, sorted by path; of a directory that is, only itself.
func (m *Mirror) ReadOnly() []ReadOnly {
	if m.built.puts > 0 && m.built.puts == m.Base.changed() {
		return m.built.list
	}
	var list []ReadOnly
	for p, e := range m.Base.Unsorted() {
		dir, _ := split(p)
		if m.readOnly(p, e.State.Kind) && (dir == safety.Top || !m.readOnly(dir, safety.Directory)) {
			list = append(list, ReadOnly{p, e.State.Kind})
		}
	}
	return sortReadOnly(list)
}

func (m *Mirror) readOnly(p safety.RelPath, kind safety.Kind) bool {
	return m.Policy.Access(string(p), kind == safety.Directory) == dotfiles.ReadOnly
}

// protect notes what ReadOnly is to list. What is made read-only for another reason than a rule is sorted out later.
func (p *buildPart) protect(in scanJob, path safety.RelPath, kind safety.Kind, access dotfiles.Access) {
	if access == dotfiles.ReadOnly && in.access != dotfiles.ReadOnly {
		p.readOnly = append(p.readOnly, ReadOnly{path, kind})
	}
}

// keepReadOnly keeps what the workers noted, when nothing more is put into the base.
func (m *Mirror) keepReadOnly(b *builder) {
	var list []ReadOnly
	for _, part := range b.parts {
		list = append(list, part.readOnly...)
	}
	list = slices.DeleteFunc(list, func(r ReadOnly) bool { return !m.readOnly(r.Path, r.Kind) })
	m.built = builtReadOnly{sortReadOnly(list), m.Base.changed()}
}

func sortReadOnly(list []ReadOnly) []ReadOnly {
	slices.SortFunc(list, func(x, y ReadOnly) int { return strings.Compare(string(x.Path), string(y.Path)) })
	return list
}
