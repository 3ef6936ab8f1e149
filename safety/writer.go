package safety

import "os"

// WriterState is what is known about writers of a file.
type WriterState uint8

// The states. MayWrite: it can't be told, so look again later.
const (
	NoWriter WriterState = iota
	Writes
	MayWrite
)

func (w WriterState) String() string { return [...]string{"no writer", "writer", "maybe a writer"}[w] }

// HasWriter reports whether some process has the file open for writing, or may have (where that can't be told).
// f must be open for reading only. [Writing] tells the two apart.
func HasWriter(f *os.File) bool { return Writing(f) != NoWriter }

// Writing reports whether some process has the file, open for reading only, open for writing. Everything that keeps the
// system from telling is MayWrite.
func Writing(f *os.File) WriterState { return writing(int(f.Fd())) }
