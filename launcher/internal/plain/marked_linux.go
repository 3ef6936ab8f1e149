package plain

import (
	"fmt"
	"os"
	"slices"
	"strconv"
)

// Marked lists the processes whose environment began with the entry mark, this one left out, by pid. Those of other
// users, and those that cleared their environment, are not seen.
func Marked(mark string) ([]int, error) {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	k := &kin{mark: []byte(mark)}
	var found []int
	for _, name := range names {
		pid, err := strconv.Atoi(name.Name())
		if err != nil || pid == os.Getpid() || !k.marked(pid) {
			continue
		}
		if p, err := readProc(pid); err == nil && p.state != 'Z' {
			found = append(found, pid)
		}
	}
	slices.Sort(found)
	return found, nil
}
