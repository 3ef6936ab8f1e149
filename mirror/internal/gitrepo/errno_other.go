//go:build !unix

package gitrepo

// isNotDir is false: elsewhere such a path simply does not exist.
func isNotDir(error) bool { return false }
