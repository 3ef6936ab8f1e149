//go:build !unix

package dotfiles

// openNoFollow has no bits here: the Lstat before it is the check.
const openNoFollow = 0
