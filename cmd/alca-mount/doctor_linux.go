package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/doctor"
)

// watchLimits reads what may be watched, and what this user's programs do watch. The limits of a user namespace count
// beside those of the machine.
func watchLimits() doctor.Watches {
	var w doctor.Watches
	w.Limit = lowest("/proc/sys/fs/inotify/max_user_watches", "/proc/sys/user/max_inotify_watches")
	w.Instances = lowest("/proc/sys/fs/inotify/max_user_instances", "/proc/sys/user/max_inotify_instances")
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range processes {
		var st syscall.Stat_t
		if syscall.Stat(dir, &st) != nil || int(st.Uid) != os.Getuid() {
			continue
		}
		watches, instances := watchesOf(dir)
		w.Used, w.InstancesUsed = w.Used+watches, w.InstancesUsed+instances
	}
	return w
}

// watchesOf counts the directories and files that a process watches, and its inotify instances.
func watchesOf(process string) (watches, instances int) {
	files, _ := os.ReadDir(filepath.Join(process, "fd"))
	for _, f := range files {
		if to, err := os.Readlink(filepath.Join(process, "fd", f.Name())); err != nil || to != "anon_inode:inotify" {
			continue
		}
		instances++
		text, err := os.ReadFile(filepath.Join(process, "fdinfo", f.Name()))
		if err == nil {
			watches += strings.Count(string(text), "\ninotify wd:")
		}
	}
	return watches, instances
}

// lowest is the lowest of the numbers in files; 0: none can be read.
func lowest(files ...string) int {
	least := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if n, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && (least == 0 || n < least) {
			least = max(n, 1)
		}
	}
	return least
}
