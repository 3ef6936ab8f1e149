//go:build unix

package journal

import "golang.org/x/sys/unix"

// notOthers are the flags that keep an open from following a link or waiting for a FIFO.
const notOthers = unix.O_NOFOLLOW | unix.O_NONBLOCK
