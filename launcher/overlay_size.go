package launcher

import (
	"context"
	"io/fs"
	"path/filepath"
)

// Size is how many bytes an overlay's files have where it is kept; whole is false when ctx ended first, or not all could
// be looked at.
func (k KeptOverlay) Size(ctx context.Context) (bytes int64, whole bool) {
	whole = true
	_ = filepath.WalkDir(k.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			whole = false
			return nil
		}
		if d.Type().IsRegular() {
			info, err := d.Info()
			if err != nil {
				whole = false
				return nil
			}
			bytes += info.Size()
		}
		if ctx.Err() != nil {
			whole = false
			return filepath.SkipAll
		}
		return nil
	})
	return bytes, whole
}
