package mirror

import (
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// A stamp that is younger than two ticks of its file system's clock proves nothing: a change within the same tick
// leaves it as it is. A project entry that young gets an unproven stamp in the base, so that it is looked at again; a
// mirror's entries are all young when it is built, so Create returns no sooner than two ticks after the last of them, unless the
// clock moves for whoever has looked.
const (
	fineTick   = 10 * time.Millisecond // the longest tick of a Linux kernel (HZ=100) and of Windows' NTFS
	coarseTick = 2 * time.Second       // FAT; ext3, HFS+ and old NFS have one second
)

// young reports whether an entry that was looked at at now, in nanoseconds, may change without moving its stamp.
func young(i safety.Info, now int64) bool {
	changed := max(i.Mtime, i.Ctime)
	if i.Kind == safety.Directory { // its stamp has no times
		return false
	}
	return changed > now-2*int64(tickOf(i))
}

// unproven is the ctime of a stamp that is no entry's, so that the entry is looked at again. What a rename leaves as it
// is stays in the stamp: moves are traced by it.
const unproven = -1

// Unproven is a stamp whose entry is to be looked at again, whatever it looks like.
func Unproven(s Stamp) Stamp {
	s.Ctime = unproven
	return s
}

// Proven reports whether the stamp is that of an entry as it was: its times can be compared.
func (s Stamp) Proven() bool { return s.Ctime != unproven }

// SeenStamp is the stamp of an entry that was looked at no earlier than at: unproven when that was too soon after its
// last change.
func SeenStamp(i safety.Info, at time.Time) Stamp {
	s := StampOf(i)
	if young(i, at.UnixNano()) {
		s.Ctime = unproven
	}
	return s
}

// PlacedStamp is the stamp of an entry that we just made. Its mtime is its source's, so that a later save moves it;
// but not within the tick of a coarse clock.
func PlacedStamp(i safety.Info) Stamp {
	s := StampOf(i)
	if i.Kind != safety.Directory && tickOf(i) == coarseTick {
		s.Ctime = unproven
	}
	return s
}

// recent reports whether an entry changed so lately that somebody may still be at it. One call that writes much moves
// the file's time when it begins and not when it ends: a copy made meanwhile is torn, and the file looks settled.
func recent(i safety.Info) bool {
	return max(i.Mtime, i.Ctime) > time.Now().Add(-time.Minute).UnixNano()
}

// tickOf guesses the clock's tick from the times of an entry: whole seconds are the mark of a coarse one.
func tickOf(i safety.Info) time.Duration {
	if i.Mtime%int64(time.Second) == 0 && i.Ctime%int64(time.Second) == 0 {
		return coarseTick
	}
	return fineTick
}
