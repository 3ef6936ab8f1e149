# Tries, from inside a namespace launch, to read what is hidden and to write what is read-only.
# Prints a line for each attempt: "held NAME", or "BROKE NAME: how".
import ctypes, os, signal, socket, struct, subprocess, sys

P = os.environ["ALCA_MOUNT_PROJECT"]
SECRET = "SECRET-7f3a" + "9c"  # apart, so that this file is no find
LOCKED = os.environ.get("LOCKED", "locked.txt,mixed/locked.txt,ro/a.txt").split(",")
libc = ctypes.CDLL(None, use_errno=True)


def attempt(name, f):
    try:
        broke = f()
    except (OSError, subprocess.SubprocessError):
        broke = None
    print(("BROKE %s: %s" % (name, broke)) if broke else "held " + name, flush=True)


def found(data):
    if isinstance(data, bytes):
        data = data.decode("utf-8", "replace")
    return data[:300] if SECRET in data else None


def read(path):
    with open(path, "rb") as f:
        return found(f.read(1 << 20))


def walk(top):
    for dir, dirs, files in os.walk(top):
        for name in files:
            p = os.path.join(dir, name)
            try:
                if not os.path.islink(p) and read(p):
                    return p
            except OSError:
                pass


def shell(script):
    r = subprocess.run(["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
    return found(r.stdout)


def connect(family, address):
    s = socket.socket(family)
    s.settimeout(5)
    s.connect(address)
    return found(s.recv(100)) or "connected"


def alias(i):
    where = os.environ.get("ALIAS%d" % i)
    return lambda: walk(where) if where else None


def handles():
    """Opens the hidden file by its inode, with the powers of a nested user namespace. Run as a program of its own."""
    uid = os.getuid()
    if libc.unshare(0x10020000) == 0:
        try:
            open("/proc/self/uid_map", "w").write("0 %d 1" % uid)
        except OSError:
            pass
    inode = int(os.environ["HIDDENINODE"])
    handle = ctypes.create_string_buffer(struct.pack("IiII", 8, 1, inode, 0), 200)
    top = P
    while True:
        fd = libc.open_by_handle_at(os.open(top, os.O_RDONLY), handle, 0)
        if fd >= 0:
            print(os.read(fd, 1000))
        if top == "/":
            return
        top = os.path.dirname(top)


def made_device(name):
    os.mknod(name, 0o060600, os.makedev(254, 0))
    os.unlink(name)  # where it can be made, nothing of it is to stay
    return "made"


def moved():
    os.rename(P, P + "-away")
    os.rename(P + "-away", P)
    return "it can be moved"


def groups():
    if os.statvfs("/sys").f_flag & 1 == 0:
        return "/sys can be written"
    for dir, dirs, files in os.walk("/sys/fs/cgroup"):
        for name in files:
            try:
                os.close(os.open(os.path.join(dir, name), os.O_WRONLY))
                return os.path.join(dir, name)
            except OSError:
                pass
        if dir.count("/") > 5:
            del dirs[:]
    r = subprocess.run(["unshare", "-UrmC", "mount", "-t", "cgroup2", "none", "/mnt"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return "a file system of them can be mounted" if r.returncode == 0 else None


def shared():
    """A segment of memory that the test made outside."""
    n = len(open("/proc/sysvipc/shm").readlines()) - 1
    return "%d segments" % n if n else None


hidden = {
    "by its inode": lambda: found(subprocess.run([sys.executable, __file__, "handles"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout),
    "by moving the project": moved,
    "by control groups": groups,
    "by watching all files": lambda: libc.fanotify_init(4, 0) >= 0 and "a group" or None,
    "by shared memory": shared,
    "by devices of memory and programs": lambda: [n for n in ("mem", "kmem", "port", "kmsg", "loop-control", "loop0", "fuse", "mapper", "uinput", "vcs", "vhost-vsock", "mqueue") if os.path.exists("/dev/" + n)] or None,
    "through init's mapped files": lambda: os.listdir("/proc/1/map_files"),
    "through a nested overlay": lambda: shell("mkdir -p /tmp/over.$$ && unshare -Urm sh -c \"mount -t overlay o -o lowerdir='%s':/etc /tmp/over.$$ && cat '/tmp/over.$$/%s/.env'\"; rmdir /tmp/over.$$" % (os.path.dirname(P), os.path.basename(P))),
    "by its path": lambda: read(P + "/.env"),
    "in the whole project": lambda: walk(P),
    "through the mirror's path": lambda: walk(os.environ["STATE"]),
    "state directory listed": lambda: os.listdir(os.environ["STATE"] + "/alca-mount") or None,
    "through init's root": lambda: read("/proc/1/root" + P + "/.env"),
    "through init's directory": lambda: os.listdir("/proc/1/cwd"),
    "through init's descriptors": lambda: [open("/proc/1/fd/" + n) for n in os.listdir("/proc/1/fd")] and "opened",
    "through init's memory": lambda: open("/proc/1/mem", "rb") and "opened",
    "by ptrace of init": lambda: libc.ptrace(16, 1, 0, 0) == 0 and "attached" or None,
    "by a process outside": lambda: os.kill(int(os.environ["HOSTPID"]), 0) or "signalled",
    "by an old descriptor": lambda: [n for n in os.listdir("/proc/self/fd") if int(n) > 3] and None or (read("/proc/self/fd/3/.env") if os.path.isdir("/proc/self/fd/3") else None),
    "by descriptors that are open": lambda: [os.readlink("/proc/self/fd/" + n) for n in os.listdir("/proc/self/fd") if int(n) > 2 and os.path.exists("/proc/self/fd/" + n)] or None,
    "through a bind alias": alias(1),
    "through an alias of a directory in it": alias(2),
    "through an overlay with it below": alias(3),
    "through an alias of the state": alias(4),
    "by a tmux outside": lambda: shell("tmux -S '%s' run-shell \"cat '%s/.env'\"" % (os.environ["TMUXSOCK"], P)) if os.environ.get("TMUXSOCK") else None,
    "tmux sockets seen": lambda: os.path.exists(os.environ["TMUXSOCK"]) and "there" or None if os.environ.get("TMUXSOCK") else None,
    "by an abstract socket": lambda: connect(socket.AF_UNIX, "\0" + os.environ["ABSTRACT"]),
    "by a socket of the runtime directory": lambda: connect(socket.AF_UNIX, os.environ["XDG_RUNTIME_DIR"] + "/s"),
    "by umount": lambda: shell("umount -l '%s'; cat '%s/.env'" % (P, P)),
    "by umount of the cover": lambda: shell("umount -l '%s'; grep -r SECRET '%s'" % (os.environ["STATE"], os.environ["STATE"])),
    "by a nested namespace": lambda: shell("unshare -Urm sh -c \"umount -l '%s'; cat '%s/.env'; umount -l '%s'; grep -rs SECRET '%s'\"" % (P, P, os.environ["STATE"], os.environ["STATE"])),
    "by a nested bind": lambda: shell("unshare -Urm sh -c \"mount --bind / /mnt && cat '/mnt%s/.env'; mount --rbind / /mnt && cat '/mnt%s/.env'\"" % (P, P)),
    "by nsenter": lambda: shell("nsenter -t 1 -m cat '%s/.env'" % P),
    "by another /proc": lambda: shell("unshare -Urm sh -c \"mount -t proc p /mnt; cat /mnt/*/root'%s/.env'\"" % P),
    "by a device": lambda: [open(os.path.join("/dev", n), "rb") for n in os.listdir("/dev") if os.path.exists("/dev/" + n) and (os.stat("/dev/" + n).st_mode & 0o170000) == 0o060000] and "a disk" or None,
    "by a device made": lambda: made_device("/tmp/alca-attack-%d" % os.getpid()),
    "by the terminal's input": lambda: __import__("fcntl").ioctl(0, 0x5412, b"x") == 0 and os.environ.get("USERTTY") and "typed" or None,
    "by capabilities": lambda: [l for l in open("/proc/self/status") if l.startswith(("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh")) and int(l.split()[1], 16)] and "some are left" or None,
    "by new privileges": lambda: "NoNewPrivs:\t1\n" not in open("/proc/self/status").readlines() and "they can be had" or None,
    "by settings of the kernel": lambda: os.getuid() == 0 and open("/proc/sys/kernel/core_pattern", "r+") and "core_pattern opened" or None,
    "by settings of devices": lambda: os.getuid() == 0 and open("/sys/kernel/uevent_helper", "r+") and "uevent_helper opened" or None,
}


def content(path):
    with open(path) as f:
        return f.read()


def chmod(path):
    os.chmod(path, 0o666)
    return "done"


def replace(path):
    with open(P + "/pwn", "w") as f:
        f.write("pwn")
    os.rename(P + "/pwn", path)
    return "renamed over"


def exchange(path):
    with open(P + "/pwn", "w") as f:
        f.write("pwn")
    return libc.renameat2(-100, (P + "/pwn").encode(), -100, path.encode(), 2) == 0 and "exchanged" or None


def link(path):
    os.link(path, P + "/alias")
    os.chmod(P + "/alias", 0o666)
    open(P + "/alias", "w").write("pwn")
    return "written by another name"


def away_and_back(path):
    dir = os.path.dirname(path)
    if dir == P:
        return None
    os.rename(dir, dir + "-away")
    try:
        for how in ("r+", "w"):
            try:
                open(os.path.join(dir + "-away", os.path.basename(path)), how)
                return "opened in the directory that was moved"
            except OSError:
                pass
    finally:
        os.rename(dir + "-away", dir)
    open(path, "w")
    return "opened afterwards"


def nested(path):
    return shell("""unshare -Urm sh -c "umount -l '%s'; mount -o remount,rw,bind '%s'; echo '%s' > '%s' && cat '%s'" """ % (path, path, SECRET, path, path))


writes = {
    "open": lambda p: open(p, "r+") and "opened",
    "create": lambda p: open(p, "w") and "opened",
    "append": lambda p: open(p, "a") and "opened",
    "truncate": lambda p: os.truncate(p, 0) or "cut",
    "unlink": lambda p: os.unlink(p) or "gone",
    "rename": lambda p: os.rename(p, P + "/elsewhere") or "moved",
    "rename over": replace,
    "exchange": exchange,
    "chmod": chmod,
    "utime": lambda p: os.utime(p, (1, 1)) or "set",
    "xattr": lambda p: os.setxattr(p, "user.x", b"1") or "set",
    "link": link,
    "mount over": lambda p: libc.mount(b"/dev/null", p.encode(), None, 4096, None) == 0 and "mounted" or None,
    "umount": lambda p: libc.umount2(p.encode(), 2) == 0 and "unmounted" or None,
    "remount": lambda p: libc.mount(None, p.encode(), None, 32 | 4096, None) == 0 and "writable" or None,
    "nested namespace": nested,
    "move its directory away and back": away_and_back,
    "chmod and open": lambda p: (shell("chmod u+w '%s'" % p), open(p, "r+")) and "opened",
    "through its descriptor": lambda p: open("/proc/self/fd/%d" % os.open(p, os.O_RDONLY), "r+") and "opened",
    "through its mapping": lambda p: __import__("mmap").mmap(os.open(p, os.O_RDWR), 1) and "mapped",
    "through the mirror's path": lambda p: walkname(os.environ["STATE"], os.path.basename(p)),
}


def walkname(top, name):
    for dir, dirs, files in os.walk(top):
        if name in files:
            return os.path.join(dir, name)


def ring():
    if "read" not in sys.argv:
        for name, f in hidden.items():
            attempt(name, f)
    for file in LOCKED:
        p = os.path.join(P, file)
        if not os.path.exists(p):
            print("BROKE %s: it is not there" % file)
            continue
        before = content(p)
        for name, f in writes.items():
            attempt("%s: %s" % (file, name), lambda: f(p))
            try:
                if content(p) != before:
                    print("BROKE %s: %s: it changed" % (file, name))
                    before = content(p)
            except OSError as e:
                print("BROKE %s: %s: %s" % (file, name, e))


if "handles" in sys.argv:
    handles()
    sys.exit()
ring()
if "live" in sys.argv:  # again after each change that the user makes: one line on stdin for each
    print("== done", flush=True)
    for line in sys.stdin:
        print("== " + line.strip(), flush=True)
        sys.argv.append("read")
        ring()
        for file in LOCKED:
            print("shows %s=%s" % (file, content(os.path.join(P, file)).strip()))
        print("== done", flush=True)
