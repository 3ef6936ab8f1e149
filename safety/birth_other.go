//go:build !linux

package safety

// Birth is when the staged inode was made; 0: not known here.
func (st *Staged) Birth() int64 { return 0 }
