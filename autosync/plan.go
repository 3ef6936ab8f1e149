package autosync

import (
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// look is one path as both sides are now: all that planning knows of it.
type look struct {
	path                    safety.RelPath
	access                  dotfiles.Access
	base, project, mirrored mirror.State
	guarded                 string         // why a change of the agent's waits for the user's word; "": it need not
	barred                  string         // why the mirror's version may not cross though the path is writable; "": it may
	followed                bool           // the mirror has a copy of what the project's link leads to
	movedTo                 safety.RelPath // where in the mirror the inode of a deleted file, of its size and mtime, is now; "": nowhere
	stranded                bool           // movedTo is a path that may not cross
	lost                    bool           // a power cut took the mirror's version: the project's counts
	doubt                   string         // why the mirror's version can't be trusted after a power cut; "": it can
	hiddenBelow             bool           // the project's directory holds, at any depth, what the mirror does not show
	twins                   twins          // what is in the way of the path where names are folded
}

// limits is what the caller allows a plan to do.
type limits struct {
	deletes         bool // carry deletions into the project
	toMirror        bool // change the mirror as well
	allowMassDelete bool
	approved        bool                      // deletions of what was moved to where nothing crosses from pass, too
	startFiles      int                       // files in the base when the session started
	gone            int                       // of these, deleted in the project by passes before
	selected        func(safety.RelPath) bool // nil: all paths
}

// keep says what becomes of the version that a step displaces.
type keep uint8

const (
	keepHistory  keep = iota // the project's former version, for undo
	keepConflict             // the loser of a conflict
	keepRefused              // what the agent made of a path that it may not change
	keepNothing              // the mirror's unchanged copy
)

// step brings one path of one side to a state.
type step struct {
	path   safety.RelPath
	action Action
	side   mirror.Side  // the side that changes
	from   mirror.State // what this side holds now
	to     mirror.State // what it will hold; absent: removed
	base   mirror.State // the state of the base before
	keep   keep
}

// plan is what one pass does, in this order.
type plan struct {
	adopt  []safety.RelPath // both sides agree: the base moves
	forget []safety.RelPath // gone on both sides or no longer mirrored: the base entry goes
	clear  []step           // removals that make room for another kind of entry, children first
	put    []step           // parents first
	remove []step           // children first

	refused, held, orphans, pending []PathNote
	lost                            []safety.RelPath // a power cut took them from the mirror
}

// outcome is what planning has concluded of one look.
type outcome struct {
	look
	action Action
	final  mirror.State // what both sides are to hold
	winner mirror.Side  // whose version final is
	pin    pin          // the strongest reason why the path has to be a directory at the end
	fixed  string       // not empty: nothing is done at this path, and why
	as     standing     // what a fixed path is reported as
	held   HoldKind     // why, of a standHeld
	buried bool         // a directory above it becomes a file
	below  bool         // fixed because a directory above it is
	room   bool         // it goes first: it is in the way of another name
}

// standing is what becomes of something that does not cross.
type standing uint8

const (
	standRefused standing = iota // never crosses
	standHeld                    // waits for the user's word
	standPending                 // a deletion that the caller did not ask for
)

// pin is a set of reasons why a directory has to be there: something below it will be.
type pin uint8

const (
	pinFixed    pin = 1 << iota // something below stays as it is on each side
	pinKept                     // something below is on both sides, or will be
	pinReadOnly                 // something below may not be changed by the agent
)

// makePlan turns looks, sorted by path, into steps. It does no I/O.
//
// Paths are decided one by one first. Then the tree has to fit together: what is below a path is there only if the path
// is a directory. From below, pins say which directories are needed; from above, paths that ended up below a file are
// buried. Of two claims to one path the agent's wins and the user's version is kept, as for files, but nothing that the
// agent may not change gives way.
func makePlan(looks []look, l limits) plan {
	outcomes := make([]outcome, len(looks))
	index := make(map[safety.RelPath]*outcome, len(looks))
	for i, lk := range looks {
		if l.approved {
			lk.doubt = ""
		}
		outcomes[i] = decideLook(lk)
		index[lk.path] = &outcomes[i]
	}
	freezeGit(outcomes)
	holdDeletes(outcomes, l)
	makeRoom(outcomes, index, l)
	for i := len(outcomes) - 1; i >= 0; i-- {
		pinParent(&outcomes[i], index)
	}
	for i := range outcomes {
		settle(&outcomes[i], index)
	}
	return emit(outcomes, index, l)
}

func decideLook(lk look) outcome {
	o := outcome{look: lk, action: Decide(lk.access, lk.base, lk.project, lk.mirrored)}
	if lk.lost {
		o.action = replaceLost(lk)
	}
	switch o.action {
	case Nothing, Adopt, CarryToMirror, DeleteInMirror, RecreateInMirror, RestoreMirror:
		o.final, o.winner = lk.project, mirror.ProjectSide
		if o.action == RestoreMirror && lk.followed {
			o.fix(lk.barred, standRefused) // the project has a link there, and no file to restore it from
		}
	case CarryToProject, ResolveConflict, DeleteInProject, RecreateInProject:
		o.final, o.winner = lk.mirrored, mirror.MirrorSide
		if lk.barred != "" {
			o.fix(lk.barred, standRefused)
		} else if lk.guarded != "" && o.action != DeleteInProject {
			o.hold(lk.guarded, HoldGuarded)
		}
	case RefuseNew:
		o.fix("read-only", standRefused)
	case FreezeGit, SetAside, Withdraw:
	}
	switch {
	case lk.isResidue():
		o.action, o.final = Nothing, mirror.State{}
	case o.winner == mirror.MirrorSide && lk.hiddenBelow && !lk.mirrored.Absent():
		o.hold("hidden files lie below the project's directory", HoldHidden)
	}
	if lk.doubt != "" && o.winner == mirror.MirrorSide && o.fixed == "" {
		o.hold(lk.doubt, HoldPowerCut)
	}
	if lk.project.Kind == safety.Special || lk.mirrored.Kind == safety.Special {
		o.fix("special file", standRefused)
	}
	return o
}

// replaceLost brings the project's version to where a power cut took the mirror's.
func replaceLost(lk look) Action {
	switch {
	case lk.project.Absent():
		return DeleteInMirror
	case lk.mirrored.Absent():
		return RecreateInMirror
	}
	return CarryToMirror
}

// isResidue reports whether only hidden entries are left of a directory that is gone for the mirror. It would come back
// with each pass otherwise.
func (lk look) isResidue() bool {
	return lk.hiddenBelow && lk.base.Absent() && lk.mirrored.Absent()
}

// fix leaves the path as it is on both sides.
func (o *outcome) fix(why string, as standing) {
	o.fixed, o.as = why, as
	o.final, o.winner = o.project, mirror.ProjectSide
}

// hold leaves the path as it is on both sides until there is a word of the user's.
func (o *outcome) hold(why string, kind HoldKind) {
	o.fix(why, standHeld)
	o.held = kind
}

// freezeGit stops everything one-way as soon as the agent has written below .git: half of a repository's state from
// each side is worse than either.
func freezeGit(outcomes []outcome) {
	frozen := false
	for i := range outcomes {
		frozen = frozen || outcomes[i].action == FreezeGit
	}
	if !frozen {
		return
	}
	for i := range outcomes {
		if outcomes[i].access == dotfiles.OneWay {
			outcomes[i].action = FreezeGit
			outcomes[i].final = outcomes[i].project
		}
	}
}

// holdDeletes fixes deletions that wait for the user's word: of files that now lie where they may not cross from, of
// guarded ones, of most of the project at once, and all of them when the caller asked for none.
func holdDeletes(outcomes []outcome, l limits) {
	mass := isMassDelete(outcomes, l)
	for i := range outcomes {
		o := &outcomes[i]
		if o.action != DeleteInProject || o.fixed != "" {
			continue
		}
		switch {
		case !l.deletes:
			o.fix("deleted in the mirror", standPending)
		case o.stranded && !l.approved:
			o.hold("moved to "+o.movedTo.String()+", which does not cross", HoldMoved)
		case o.guarded != "" && o.base.Kind != safety.Directory: // what is in one holds it
			o.hold(o.guarded, HoldGuarded)
		case mass && o.base.Kind != safety.Directory:
			o.hold("one of more than half of the files; --allow-mass-delete lets that pass", HoldMassDelete)
		}
	}
}

const massDeleteFloor = 50

func isMassDelete(outcomes []outcome, l limits) bool {
	if l.allowMassDelete {
		return false
	}
	gone := l.gone
	for i := range outcomes {
		o := &outcomes[i]
		if o.action == DeleteInProject && o.base.Kind == safety.File && o.movedTo == "" {
			gone++
		}
	}
	return gone > massDeleteFloor && 2*gone > l.startFiles
}

// pinParent tells o's directory how strongly it is needed. Children come before their parents, so o.pin is complete.
func pinParent(o *outcome, index map[safety.RelPath]*outcome) {
	if dir := index[o.path.Dir()]; dir != nil {
		dir.pin |= o.pin | o.ownPin()
	}
}

func (o *outcome) ownPin() pin {
	switch {
	case o.action == RefuseNew || !o.access.Mirrored() || o.final.Absent():
		return 0
	case o.fixed != "" || o.action == FreezeGit:
		return pinFixed
	case o.access != dotfiles.Writable:
		return pinReadOnly
	case o.guarded != "" && !o.project.Absent():
		return pinKept | pinFixed // nor does it go with its directory
	}
	return pinKept
}

// settle makes o fit below its directory, which is settled already, and above what is pinned below it.
func settle(o *outcome, index map[safety.RelPath]*outcome) {
	if dir := index[o.path.Dir()]; dir != nil {
		switch {
		case dir.barsBelow() && (o.action == SetAside || o.action == RefuseNew):
			o.below = true // it would not cross anyway
			return
		case dir.barsBelow() && (o.pin|o.ownPin())&pinReadOnly == 0:
			o.fix(dir.fixed, dir.as)
			o.below, o.held = true, dir.held
			return
		case dir.becomesLeaf():
			o.bury()
			return
		}
	}
	unfit := o.final.Kind != safety.Directory || o.pin&pinReadOnly != 0 && o.mirrored.Kind != safety.Directory
	if o.pin != 0 && unfit && o.access.Mirrored() {
		o.becomeDirectory()
	}
}

// barsBelow reports whether the agent replaced the project's directory by something that may not cross: what lay below
// it is not deleted for that. Nor can anything be put below a link of the project's that was left out, or below a file
// that a held directory would replace.
func (o *outcome) barsBelow() bool {
	if o.barred != "" && o.mirrored.Kind == safety.Directory {
		return true
	}
	if o.fixed != "" && o.held != "" && o.mirrored.Kind == safety.Directory && o.becomesLeaf() {
		return true
	}
	return o.below || o.fixed != "" && o.project.Kind == safety.Directory && o.mirrored.Kind != safety.Directory && !o.mirrored.Absent()
}

// becomesLeaf reports whether nothing can lie below o.
func (o *outcome) becomesLeaf() bool {
	return o.buried || o.access.Mirrored() && !o.final.Absent() && o.final.Kind != safety.Directory
}

// bury removes a path whose directory becomes a file in the agent's version. The user's edits of it are kept as losers.
func (o *outcome) bury() {
	if !o.access.Mirrored() || o.action == RefuseNew {
		return
	}
	o.fixed = ""
	o.action = DeleteInProject
	if o.project != o.base && o.project.Kind != safety.Directory {
		o.action = ResolveConflict
	}
	o.final, o.winner, o.buried = mirror.State{}, mirror.MirrorSide, true
}

// becomeDirectory keeps or makes a directory at a path that was to become something else or to go.
func (o *outcome) becomeDirectory() {
	directory := mirror.State{Kind: safety.Directory}
	switch {
	case o.barred != "" && o.mirrored.Kind == safety.Directory:
		o.fix(o.barred, standRefused)
	case o.final.Absent() && o.pin == pinFixed:
		o.hold("something below it stays", HoldBlocked)
	case o.final.Absent() && o.project.Kind == safety.Directory:
		o.action, o.final, o.winner = RecreateInMirror, directory, mirror.ProjectSide
	case o.final.Absent():
		o.action, o.final, o.winner = RecreateInProject, directory, mirror.MirrorSide
	case o.mirrored.Kind != safety.Directory && o.pin&pinReadOnly != 0:
		o.fixed = ""
		o.action, o.final, o.winner = RestoreMirror, directory, mirror.ProjectSide
	case o.winner == mirror.MirrorSide && o.pin&pinFixed != 0:
		o.hold("something below it stays", HoldBlocked)
	case o.winner == mirror.ProjectSide && o.fixed == "":
		o.action, o.final, o.winner = ResolveConflict, directory, mirror.MirrorSide
	}
	// What is left: the agent put a file where a directory was. What is below gets buried.
}
