package safety

import "golang.org/x/sys/unix"

// KernelFS names the file system that dir lies on when its files are the kernel's own (proc, sysfs …): reading them may
// never end, and writing them changes the machine. "" where dir is not on such a one, or that can't be told.
func KernelFS(dir string) string {
	var fs unix.Statfs_t
	for {
		err := unix.Statfs(dir, &fs)
		if err == nil {
			return kernelFS(uint32(fs.Type))
		}
		if err != unix.EINTR {
			return ""
		}
	}
}

// kernelFS knows the magic numbers of statfs(2).
func kernelFS(magic uint32) string {
	return map[uint32]string{
		unix.PROC_SUPER_MAGIC: "proc", unix.SYSFS_MAGIC: "sysfs", unix.CGROUP_SUPER_MAGIC: "cgroup", unix.CGROUP2_SUPER_MAGIC: "cgroup2",
		unix.DEVPTS_SUPER_MAGIC: "devpts", unix.DEBUGFS_MAGIC: "debugfs", unix.TRACEFS_MAGIC: "tracefs", unix.SECURITYFS_MAGIC: "securityfs",
		unix.SELINUX_MAGIC: "selinuxfs", unix.BPF_FS_MAGIC: "bpf", unix.EFIVARFS_MAGIC: "efivarfs", unix.PSTOREFS_MAGIC: "pstore",
		unix.BINFMTFS_MAGIC: "binfmt_misc", 0x62656570: "configfs",
	}[magic]
}
