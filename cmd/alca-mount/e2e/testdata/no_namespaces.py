# Runs its arguments where a seccomp filter answers EPERM to new user namespaces, as container engines' filters do.
import ctypes, os, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
NEWUSER, EPERM, ENOSYS, ALLOW, ERRNO = 0x10000000, 1, 38, 0x7FFF0000, 0x00050000
clone, unshare, clone3 = {"x86_64": (56, 272, 435), "aarch64": (220, 97, 435)}[os.uname().machine]
program = [
    (0x20, 0, 0, 0),  # the call's number
    (0x15, 3, 0, clone),
    (0x15, 2, 0, unshare),
    (0x15, 3, 0, clone3),
    (0x06, 0, 0, ALLOW),
    (0x20, 0, 0, 16),  # its flags
    (0x45, 1, 2, NEWUSER),
    (0x06, 0, 0, ERRNO | ENOSYS),
    (0x06, 0, 0, ERRNO | EPERM),
    (0x06, 0, 0, ALLOW),
]
text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in program))
filter = struct.pack("HxxxxxxP", len(program), ctypes.addressof(text))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execvp(sys.argv[1], sys.argv[1:])
