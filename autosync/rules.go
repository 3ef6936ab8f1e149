package autosync

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// liveRules is the policy of a running session, for those who ask beside the loop.
type liveRules struct {
	start  *dotfiles.Policy // of the session's start: what it hides stays hidden
	policy atomic.Pointer[dotfiles.Policy]

	mu     sync.Mutex
	hidden map[safety.RelPath]bool // hidden directories of the project that are watched
	unseen map[safety.RelPath]bool // directories of the mirror, or that were, which are not watched
}

// maxHiddenWatches bounds how many hidden directories are watched for what is moved out of them. They are few where
// rules name secrets; where a rule names a whole data directory, the watches are worth more elsewhere.
const maxHiddenWatches = 1000

func newLiveRules(start *dotfiles.Policy) *liveRules {
	r := &liveRules{start: start, hidden: map[safety.RelPath]bool{}, unseen: map[safety.RelPath]bool{}}
	r.policy.Store(start)
	return r
}

func (r *liveRules) now() *dotfiles.Policy { return r.policy.Load() }

// shown reports whether the directory p is mirrored.
func (r *liveRules) shown(p safety.RelPath) bool { return r.now().Access(string(p), true).Mirrored() }

// watched reports whether the project's directory p is watched: hidden ones are, since a file made in one and moved out
// of it must stay hidden.
func (r *liveRules) watched(p safety.RelPath) bool {
	access := r.now().Access(string(p), true)
	if access != dotfiles.Hidden {
		return access.Mirrored()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.hidden[p] && len(r.hidden) >= maxHiddenWatches {
		return false
	}
	r.hidden[p] = true
	return true
}

// watchedInMirror reports whether the mirror's directory p is watched, and remembers those that are not.
func (r *liveRules) watchedInMirror(p safety.RelPath) bool {
	if r.shown(p) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unseen[p] = true
	return false
}

func (r *liveRules) unseenInMirror() []safety.RelPath {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.unseen))
}

// rulesChanged lets the project's rules of now hide more. What they hide less waits for the next session: the agent may
// have made something of its own at such a path meanwhile. Rules that can't be read change nothing.
func (s *Syncer) rulesChanged(ctx context.Context) {
	policy, err := s.rulesNow(ctx)
	if err != nil {
		s.e.emit(RulesChanged, "", 0, "they can't be used, and those of before hold: "+err.Error(), "")
		return
	}
	s.rules.policy.Store(policy)
	s.m.Policy = policy
	s.e.emit(RulesChanged, "", 0, "what they hide from now on is taken out of the mirror; what they show again comes with the next session", "")
	for p, e := range s.m.Base.All() {
		if e.State.Kind == safety.Directory && !s.rules.shown(p) {
			s.watchers[mirror.MirrorSide].Forget(p)
		}
	}
	s.next = append(s.next, ask{reply: make(chan answer, 1)}) // a scan finds what is hidden now
}
