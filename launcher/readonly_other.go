//go:build !unix

package launcher

// onReadOnlyDisk can't be told here: the first write says so.
func onReadOnlyDisk(string) bool { return false }
