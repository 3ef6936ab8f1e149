package watch

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func backends() []Backend { return []Backend{Inotify, Notify} }

// watchedInodes is what this process watches through inotify, as the kernel tells it.
func watchedInodes(t *testing.T) map[uint64]int {
	t.Helper()
	files, err := filepath.Glob("/proc/self/fdinfo/*")
	must(t, err)
	inodes := map[uint64]int{}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			continue // the descriptor of the listing
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			var wd, ino uint64
			if strings.HasPrefix(s.Text(), "inotify wd:") {
				if _, err := fmt.Sscanf(s.Text(), "inotify wd:%x ino:%x", &wd, &ino); err != nil {
					t.Fatal(err)
				}
				inodes[ino]++
			}
		}
		f.Close()
	}
	return inodes
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	return info.Sys().(*syscall.Stat_t).Ino
}
