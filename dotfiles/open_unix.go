//go:build unix

package dotfiles

import "syscall"

// openNoFollow: a link is not followed and a FIFO does not block.
const openNoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK | syscall.O_CLOEXEC
