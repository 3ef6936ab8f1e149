"""Shows a directory as a file system that keeps the case of names and ignores it: foldfs.py DIRECTORY MOUNTPOINT.

It stays in the foreground until it is unmounted.
"""
import os
import sys

from fusepy import FUSE, FuseOSError, Operations

STAT = ("st_gid", "st_ino", "st_mode", "st_nlink", "st_size", "st_uid")
STATFS = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_frsize", "f_namemax")


class Folded(Operations):
    use_ns = True

    def __init__(self, top):
        self.top = top

    def __call__(self, op, path, *args):
        try:
            return getattr(self, op)(path, *args)
        except OSError as e:
            raise FuseOSError(e.errno) from e

    def real(self, path):
        """The path as it is spelled below the directory; what is not there keeps its own spelling."""
        at = self.top
        for name in filter(None, path.split("/")):
            if not os.path.lexists(os.path.join(at, name)) and os.path.isdir(at):
                name = next((n for n in os.listdir(at) if n.lower() == name.lower()), name)
            at = os.path.join(at, name)
        return at

    def getattr(self, path, fh=None):
        st = os.lstat(self.real(path)) if fh is None else os.fstat(fh)
        out = {name: getattr(st, name) for name in STAT}
        out.update(st_atime=st.st_atime_ns, st_ctime=st.st_ctime_ns, st_mtime=st.st_mtime_ns)
        return out

    def rename(self, old, new):
        source, target = self.real(old), self.real(new)
        if source == target:  # only the case changes
            target = os.path.join(os.path.dirname(source), os.path.basename(new))
        os.rename(source, target)

    def utimens(self, path, times=None):
        os.utime(self.real(path), ns=times, follow_symlinks=False)

    def truncate(self, path, length, fh=None):
        os.truncate(self.real(path) if fh is None else fh, length)

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(self.real(path))]

    def statfs(self, path):
        st = os.statvfs(self.top)
        return {name: getattr(st, name) for name in STATFS}

    def open(self, path, flags):
        return os.open(self.real(path), flags & ~os.O_NOFOLLOW)

    def create(self, path, mode, fi=None):
        return os.open(self.real(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def readlink(self, path): return os.readlink(self.real(path))
    def symlink(self, path, target): os.symlink(target, self.real(path))
    def link(self, path, source): os.link(self.real(source), self.real(path))
    def mkdir(self, path, mode): os.mkdir(self.real(path), mode)
    def rmdir(self, path): os.rmdir(self.real(path))
    def unlink(self, path): os.unlink(self.real(path))
    def chmod(self, path, mode): os.chmod(self.real(path), mode)
    def chown(self, path, uid, gid): os.lchown(self.real(path), uid, gid)
    def read(self, path, size, offset, fh): return os.pread(fh, size, offset)
    def write(self, path, data, offset, fh): return os.pwrite(fh, data, offset)
    def fsync(self, path, datasync, fh): os.fsync(fh)
    def flush(self, path, fh): return 0
    def release(self, path, fh): os.close(fh)


FUSE(Folded(sys.argv[1]), sys.argv[2], foreground=True, nothreads=True, use_ino=True, default_permissions=True,
     attr_timeout=0, entry_timeout=0, negative_timeout=0)
