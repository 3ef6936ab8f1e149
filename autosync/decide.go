package autosync

import (
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
)

// Action is what has to happen at one path so that both sides agree again.
type Action uint8

// The actions. The zero value does nothing.
const (
	Nothing           Action = iota
	Adopt                    // both sides agree already: only the base moves
	CarryToProject           // mirror → project
	CarryToMirror            // project → mirror
	ResolveConflict          // both changed, differently: mirror → project, the project's version is kept and reported
	DeleteInProject          // gone in the mirror: delete in the project, kept
	DeleteInMirror           // gone in the project: delete in the mirror
	RecreateInProject        // deleted in the project, changed in the mirror: the change wins over the delete
	RecreateInMirror         // deleted in the mirror, changed in the project: likewise
	RestoreMirror            // read-only, touched by the agent: put back from the project, reported as refused
	RefuseNew                // new at a read-only path: never crosses, stored as refused
	FreezeGit                // the agent wrote below .git: nothing flows either way from then on
	SetAside                 // made by the agent at a hidden path: an orphan
	Withdraw                 // hidden since the mirror was built: the mirror's unchanged copy goes
)

var actionNames = [...]string{"nothing", "adopt", "carry to project", "carry to mirror", "resolve conflict",
	"delete in project", "delete in mirror", "recreate in project", "recreate in mirror", "restore mirror",
	"refuse new", "freeze .git", "set aside", "withdraw"}

func (a Action) String() string { return actionNames[a] }

// Decide says what has to happen at a path, from what both sides last agreed on (base) and what they are now.
// It is the table of "Decide" in docs/design.md and nothing else: no I/O, no clock, no state.
func Decide(access dotfiles.Access, base, p, m mirror.State) Action {
	switch access {
	case dotfiles.Writable:
		return decideWritable(base, p, m)
	case dotfiles.ReadOnly:
		return decideReadOnly(base, p, m)
	case dotfiles.OneWay:
		return decideOneWay(base, p, m)
	default:
		return decideUnseen(access, base, m)
	}
}

func decideWritable(base, p, m mirror.State) Action {
	switch {
	case p == base && m == base:
		return Nothing
	case p == m:
		return Adopt
	case p == base && m.Absent():
		return DeleteInProject
	case p == base:
		return CarryToProject
	case m == base && p.Absent():
		return DeleteInMirror
	case m == base:
		return CarryToMirror
	case p.Absent():
		return RecreateInProject
	case m.Absent():
		return RecreateInMirror
	}
	return ResolveConflict
}

func decideReadOnly(base, p, m mirror.State) Action {
	switch {
	case p == base && m == base:
		return Nothing
	case p == m:
		return Adopt
	case p == base && p.Absent():
		return RefuseNew
	case p == base:
		return RestoreMirror
	case p.Absent():
		return DeleteInMirror
	}
	return CarryToMirror
}

func decideOneWay(base, p, m mirror.State) Action {
	switch {
	case p == base && m == base:
		return Nothing
	case p == m:
		return Adopt
	case m != base:
		return FreezeGit
	case p.Absent():
		return DeleteInMirror
	}
	return CarryToMirror
}

// decideUnseen is for paths that are not to be in the mirror. One that is in the base was visible when the mirror was
// built and is hidden now.
func decideUnseen(access dotfiles.Access, base, m mirror.State) Action {
	switch {
	case m.Absent():
		return Nothing
	case m == base:
		return Withdraw
	case base.Absent() && access == dotfiles.Excluded:
		return Nothing
	}
	return SetAside
}
