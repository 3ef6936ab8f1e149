package safety

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, which is 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// identify names a process for all time: pid, start in ticks since boot, and which boot.
func identify(pid int) (string, error) {
	ticks, err := startTicks(pid)
	if err != nil {
		return "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %d %s", pid, ticks, strings.TrimSpace(string(boot))), nil
}

// alive reads what identify wrote and reports whether that very process still runs.
func alive(signature string) (Holder, bool) {
	pidText, _, _ := strings.Cut(signature, " ")
	pid, err := strconv.Atoi(pidText)
	if err != nil || pid <= 0 {
		return Holder{}, false
	}
	now, err := identify(pid)
	if err != nil || now != strings.TrimSuffix(signature, "\n") {
		return Holder{}, false
	}
	ticks, err := startTicks(pid)
	if err != nil {
		return Holder{}, false
	}
	return Holder{PID: pid, Started: bootTime().Add(time.Duration(ticks) * time.Second / ticksPerSecond)}, true
}

// startTicks is field 22 of /proc/PID/stat, counted behind the command's name, which may hold anything.
func startTicks(pid int) (int64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, os.ErrProcessDone
	}
	return strconv.ParseInt(fields[19], 10, 64)
}

func bootTime() time.Time {
	stat, _ := os.ReadFile("/proc/stat")
	for line := range strings.Lines(string(stat)) {
		if rest, ok := strings.CutPrefix(line, "btime "); ok {
			sec, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
			return time.Unix(sec, 0)
		}
	}
	return time.Time{}
}
