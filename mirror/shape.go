package mirror

import (
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// writeBits are the permission bits that a read-only entry loses. The execute bits stay: a read-only script runs.
const writeBits = 0o222

const (
	setuid = 0o4000
	setgid = 0o2000
)

// mirrorMode is the mode that the copy of an entry gets, whose owner and group came out as those of made.
// Set-id bits are kept where the owner or group that they speak for is the same: else they would give a program
// rights that nobody granted. A directory that is read-only loses its write bits too: what is in it can't be
// deleted or renamed.
func mirrorMode(source, made safety.Info, access dotfiles.Access) uint32 {
	mode := source.Mode
	if source.UID != made.UID {
		mode &^= setuid
	}
	if source.GID != made.GID {
		mode &^= setgid
	}
	if access == dotfiles.ReadOnly {
		mode &^= writeBits
	}
	return mode
}

// owner is who the process is, as far as it decides whom copies belong to.
type owner struct {
	uid, gid uint32
	root     bool
}

// anyID stands for "leave as it is" in a change of owner.
const anyID = ^uint32(0)

// change returns the owner and group to ask for, anyID for what stays, so that an entry made as made gets those of
// source. Only root can give files away; a group is asked for by everybody and may be refused.
func (o owner) change(source, made safety.Info) (uid, gid uint32, need bool) {
	uid, gid = anyID, anyID
	if o.root && source.UID != made.UID {
		uid = source.UID
	}
	if source.GID != made.GID {
		gid = source.GID
	}
	return uid, gid, uid != anyID || gid != anyID
}
