package safety

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// identify names a process for all time: pid and start in microseconds since 1970.
func identify(pid int) (string, error) {
	p, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %d", pid, time.Unix(p.Proc.P_starttime.Unix()).UnixMicro()), nil
}

// alive reads what identify wrote and reports whether that very process still runs.
func alive(signature string) (Holder, bool) {
	var pid int
	var micros int64
	if _, err := fmt.Sscanf(signature, "%d %d", &pid, &micros); err != nil {
		return Holder{}, false
	}
	now, err := identify(pid)
	if err != nil || now != strings.TrimSuffix(signature, "\n") || strconv.Itoa(pid) == "0" {
		return Holder{}, false
	}
	return Holder{PID: pid, Started: time.UnixMicro(micros)}, true
}
