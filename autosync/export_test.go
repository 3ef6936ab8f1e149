package autosync

import "github.com/alca-mount/alca-mount/safety"

// Seen gives the options a function that sees every file-system call of the undo.
func (o UndoOptions) Seen(before safety.Before) UndoOptions {
	o.before = before
	return o
}

// PassSize is how many paths one pass takes at most.
const PassSize = passSize
