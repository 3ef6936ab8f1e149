package mirror

import (
	"slices"
	"strings"
	"sync"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// ReadOnly is an entry that the rules have read-only, and which is in no directory that is.
type ReadOnly struct {
	Path safety.RelPath
	Kind safety.Kind
}

// judgement is what the rules say of what both sides agree on.
type judgement struct {
	readOnly []ReadOnly // sorted by path
	unseen   bool       // something is not to be seen

	policy *dotfiles.Policy // by whose rules
	puts   uint64           // Base.puts by then
}

// ReadOnly lists what both sides agree on that the rules have read-only, sorted by path; of a directory that is, only itself.
func (m *Mirror) ReadOnly() []ReadOnly { return m.judge().readOnly }

// HoldsUnseen reports whether both sides agree on anything that the rules do not show: they have changed since.
func (m *Mirror) HoldsUnseen() bool { return m.judge().unseen }

// judge goes through the base, unless nothing was put there since that was done.
func (m *Mirror) judge() judgement {
	puts := m.Base.changed()
	if m.judged.policy == m.Policy && m.judged.puts == puts {
		return m.judged
	}
	dirs := m.Base.Directories()
	parts := make([]judgement, workersOr(m.Options.Workers))
	var workers sync.WaitGroup
	for i := range parts {
		workers.Go(func() {
			for j := i; j < len(dirs); j += len(parts) {
				parts[i].judge(m, dirs[j])
			}
		})
	}
	workers.Wait()
	m.judged = judgement{policy: m.Policy, puts: puts}
	for _, part := range parts {
		m.judged.readOnly = append(m.judged.readOnly, part.readOnly...)
		m.judged.unseen = m.judged.unseen || part.unseen
	}
	sortReadOnly(m.judged.readOnly)
	return m.judged
}

func (j *judgement) judge(m *Mirror, dir safety.RelPath) {
	above := m.Policy.Access(string(dir), true)
	for name, e := range m.Base.In(dir) {
		access := m.Policy.AccessBelow(string(dir), above, name, e.State.Kind == safety.Directory)
		j.unseen = j.unseen || !access.Mirrored()
		if access == dotfiles.ReadOnly && above != dotfiles.ReadOnly {
			j.readOnly = append(j.readOnly, ReadOnly{dir.Join(name), e.State.Kind})
		}
	}
}

// protect notes of what was made that it is read-only. Of what is so for another reason than a rule that is sorted out later.
func (p *buildPart) protect(in scanJob, path safety.RelPath, kind safety.Kind, access dotfiles.Access) {
	if access == dotfiles.ReadOnly && in.access != dotfiles.ReadOnly {
		p.readOnly = append(p.readOnly, ReadOnly{path, kind})
	}
}

// keepReadOnly keeps what the workers noted, when nothing more is put into the base: nobody need go through it for that.
func (m *Mirror) keepReadOnly(b *builder) {
	var list []ReadOnly
	for _, part := range b.parts {
		list = append(list, part.readOnly...)
	}
	list = slices.DeleteFunc(list, func(r ReadOnly) bool {
		return m.Policy.Access(string(r.Path), r.Kind == safety.Directory) != dotfiles.ReadOnly
	})
	sortReadOnly(list)
	m.judged = judgement{readOnly: list, policy: m.Policy, puts: m.Base.changed()}
}

func sortReadOnly(list []ReadOnly) {
	slices.SortFunc(list, func(x, y ReadOnly) int { return strings.Compare(string(x.Path), string(y.Path)) })
}
