package safety

import (
	"fmt"
	"io"
)

// WriteFileSoon is WriteFileDurably without waiting for the disk: every process sees the old or the new content, and a
// kill leaves one of them. A power cut may leave the old, the new, or a file without its content.
func WriteFileSoon(path string, data []byte, mode uint32) error {
	return WriteSoon(path, mode, whole(data))
}

// WriteSoon is WriteFileSoon of what write writes.
func WriteSoon(path string, mode uint32, write func(io.Writer) error) error {
	if err := (&sys{soon: true}).writeDurably(path, mode, write); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}
