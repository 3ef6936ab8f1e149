package autosync

import (
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// TestEverySurvivorOfAPowerCut goes through all that can be left at a path, and holds the verdict against what may never
// be: a loss that is taken for an edit, an edit that is dropped.
func TestEverySurvivorOfAPowerCut(t *testing.T) {
	alive := time.Unix(1_000_000, 0)
	// Before and after the moment from which on nothing is certain to be on the disk, and in between each of two.
	limit := alive.Add(-writtenOut).UnixNano()
	times := []int64{limit - 20, limit - 10, limit, limit + 10, limit + 20}
	kinds := []safety.Kind{safety.Absent, safety.File, safety.Directory, safety.Symlink}
	seen := map[trust]int{}
	for _, then := range kinds {
		for _, now := range kinds {
			for _, agreed := range append(times, unknownTime) {
				for _, changed := range times {
					for _, modified := range times {
						for _, size := range []int64{0, 5} {
							for _, moved := range []bool{false, true} {
								s := survivor{moved: moved, alive: alive}
								if then != safety.Absent {
									s.then = mirror.Stamp{Kind: then, Size: 5, Ctime: agreed, Mtime: limit}
								}
								if then == safety.Directory {
									s.then = mirror.Stamp{Kind: then} // it has no times
								}
								if now != safety.Absent {
									s.now = safety.Info{Kind: now, Size: size, Ctime: changed, Mtime: modified}
								}
								got := judgeSurvivor(s)
								seen[got]++
								if why := wrongVerdict(s, got, limit); why != "" {
									t.Fatalf("%+v is judged %d: %s", s, got, why)
								}
							}
						}
					}
				}
			}
		}
	}
	for _, v := range []trust{trusted, mirrorLost, doubted} {
		if seen[v] == 0 {
			t.Errorf("no survivor is judged %d", v)
		}
	}
}

// unknownTime is the change time of a stamp that was too young to prove anything.
const unknownTime = -1

func wrongVerdict(s survivor, got trust, limit int64) string {
	missing, file := s.now.Kind == safety.Absent, s.now.Kind == safety.File
	known := s.then.Kind == s.now.Kind && s.then.Ctime != unknownTime
	switch {
	case missing && got == trusted:
		return "what is missing was not deleted by anybody for certain"
	case missing && s.moved && got != doubted:
		return "what was moved was not lost"
	case missing && s.then.Kind == safety.File && s.then.Ctime != unknownTime && s.then.Ctime <= limit && got != doubted:
		return "a file that was on the disk does not go by itself"
	case file && got == trusted && s.now.Ctime > limit:
		return "its content need not be on the disk"
	case file && got == trusted && known && s.now.Ctime <= s.then.Ctime:
		return "it is no newer than what both sides agreed on"
	case file && got == trusted && s.now.Size == 0 && s.then.Size > 0:
		return "it lost all its content"
	case !missing && got == mirrorLost && s.then.Kind == safety.Absent:
		return "nobody but the mirror has it"
	case !missing && got == mirrorLost && known && s.now.Ctime > s.then.Ctime:
		return "it was changed since both sides agreed"
	case file && s.then.Kind == safety.Absent && s.now.Ctime <= limit && got != trusted:
		return "it is new, and was on the disk long before"
	}
	return ""
}
