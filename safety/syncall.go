package safety

import "fmt"

// SyncAll writes to the disk all that was written to the file system of the root's directory; an error that wraps
// errors.ErrUnsupported where the system can't wait for that.
func (r *Root) SyncAll() error {
	err := r.top.use(func(fd int) error {
		if err := r.sys.may(OpSyncAll, r.path); err != nil {
			return err
		}
		return syncFileSystem(fd)
	})
	if err != nil {
		return fmt.Errorf("sync the file system of %q: %w", r.path, err)
	}
	return nil
}
