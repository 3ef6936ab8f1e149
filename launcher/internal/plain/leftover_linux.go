package plain

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	lookEvery  = 10 * time.Millisecond  // while left-over processes are waited for
	orphanWait = 500 * time.Millisecond // how long dead orphans may stay while the command runs
	askedGrace = 2 * time.Second        // from TERM to KILL of a left-over process, if Spec.Grace is not shorter
	forcedWait = 5 * time.Second        // from KILL to giving up: another user's process, or one stuck in the kernel
)

// Leftovers reports whether processes that outlive the command are found and ended here: nil where they are.
func Leftovers() error { return nil }

// kin tells the command's orphans, which the kernel makes our children, from other children of this program.
// They are signalled only as children that we have not reaped: their pids can't have been given to anybody else.
type kin struct {
	command          int
	mark             []byte
	self, group, sid int
	before           map[int]uint64 // children when it began, and when each started
	seen             map[int]uint64 // children known as the command's: a zombie shows no environment any more
	later            *time.Timer
	armed            bool // later runs
}

// proc is a process as /proc/PID/stat shows it.
type proc struct {
	pid, parent, group, sid int
	state                   byte
	started                 uint64 // with the pid it names one process for ever
}

// adopt makes us the parent of what the command leaves behind.
func adopt(mark string) (*kin, error) {
	sid, err := unix.Getsid(0)
	if err != nil {
		return nil, fmt.Errorf("read own session: %w", err)
	}
	k := &kin{mark: []byte(mark), self: os.Getpid(), group: unix.Getpgrp(), sid: sid, before: map[int]uint64{}, seen: map[int]uint64{}}
	children, err := k.children()
	if err != nil {
		return nil, err
	}
	for _, p := range children {
		k.before[p.pid] = p.started
	}
	if err := subreaper.hold(); err != nil {
		return nil, err
	}
	k.later = time.NewTimer(time.Hour)
	k.later.Stop()
	return k, nil
}

func (k *kin) release() {
	k.later.Stop()
	subreaper.letGo()
}

// subreaper counts the commands that need the attribute: the last one puts it back as it was.
// It is global because the attribute is: there is one per process.
var subreaper reaperCount

type reaperCount struct {
	mu    sync.Mutex
	users int
	old   int32
}

func (c *reaperCount) hold() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users == 0 {
		if err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&c.old)), 0, 0, 0); err != nil {
			return fmt.Errorf("read subreaper: %w", err)
		}
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("become subreaper: %w", err)
		}
	}
	c.users++
	return nil
}

func (c *reaperCount) letGo() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users--; c.users == 0 {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, uintptr(c.old), 0, 0, 0)
	}
}

// owns decides whether a child of ours is an orphan of the command's. marked is looked up only where it matters.
func (k *kin) owns(p proc, marked func(pid int) bool) bool {
	if p.parent != k.self || p.pid == k.command {
		return false
	}
	if started, there := k.before[p.pid]; there && started == p.started {
		return false
	}
	if p.sid == k.sid && p.group == k.group { // as os/exec starts them; the command began in another group
		return false
	}
	if len(k.mark) == 0 || p.sid == k.command || p.group == k.command {
		return true
	}
	if started, known := k.seen[p.pid]; known && started == p.started {
		return true
	}
	return marked(p.pid)
}

func (k *kin) marked(pid int) bool {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	for _, entry := range bytes.Split(env, []byte{0}) {
		if bytes.Equal(entry, k.mark) {
			return true
		}
	}
	return false
}

// living reaps the command's dead orphans and returns those that run.
func (k *kin) living() ([]proc, error) {
	children, err := k.children()
	if err != nil {
		return nil, err
	}
	var alive []proc
	for _, p := range children {
		if !k.owns(p, k.marked) {
			continue
		}
		k.seen[p.pid] = p.started
		if p.state == 'Z' {
			_, _ = unix.Wait4(p.pid, nil, unix.WNOHANG, nil)
			delete(k.seen, p.pid)
			continue
		}
		alive = append(alive, p)
	}
	return alive, nil
}

// reapLater keeps a command that leaves many dead orphans behind from making us read /proc for each.
func (k *kin) reapLater() {
	if !k.armed && anyChild() == childDead {
		k.armed = true
		k.later.Reset(orphanWait)
	}
}

func (k *kin) reapOrphans() {
	k.armed = false
	_, _ = k.living()
}

// children lists our children, by pid. The list is empty without a look at /proc where we have none.
func (k *kin) children() ([]proc, error) {
	if anyChild() == childNone {
		return nil, nil
	}
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []proc
	for _, name := range names {
		pid, err := strconv.Atoi(name.Name())
		if err != nil {
			continue
		}
		// It may have ended since; then it was not ours, as ours stay until we reap them.
		if p, err := readProc(pid); err == nil && p.parent == k.self {
			found = append(found, p)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].pid < found[j].pid })
	return found, nil
}

const (
	childNone    = iota // we have no children at all
	childRunning        // none of them is dead
	childDead           // one waits to be reaped, by us or by who started it
)

func anyChild() int {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
		switch {
		case err == unix.EINTR:
		case err == unix.ECHILD:
			return childNone
		case err == nil && info.Signo != 0:
			return childDead
		default:
			return childRunning
		}
	}
}

func readProc(pid int) (proc, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return proc{}, err
	}
	return parseStat(pid, stat)
}

// parseStat reads the fields after the name, which itself may hold spaces and parentheses.
func parseStat(pid int, stat []byte) (proc, error) {
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(f) < 20 {
		return proc{}, fmt.Errorf("read /proc/%d/stat: too short", pid)
	}
	p := proc{pid: pid, state: f[0][0]}
	var errs [4]error
	p.parent, errs[0] = strconv.Atoi(string(f[1]))
	p.group, errs[1] = strconv.Atoi(string(f[2]))
	p.sid, errs[2] = strconv.Atoi(string(f[3]))
	p.started, errs[3] = strconv.ParseUint(string(f[19]), 10, 64)
	for _, err := range errs {
		if err != nil {
			return proc{}, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
		}
	}
	return p, nil
}

// limits are the times, from the command's end, at which its left-over processes get TERM, get KILL, and are given up.
type limits struct{ ask, force, giveUp time.Duration }

func limitsOf(linger, grace time.Duration) limits {
	force := linger + min(grace, askedGrace)
	return limits{ask: linger, force: force, giveUp: force + forcedWait}
}

// due is the signal that a left-over process should get now; 0 for none. One that was asked is not asked again.
func (l limits) due(elapsed time.Duration, asked bool) syscall.Signal {
	switch {
	case elapsed >= l.force:
		return unix.SIGKILL
	case elapsed >= l.ask && !asked:
		return unix.SIGTERM
	}
	return 0
}

// endLeftovers waits for what outlived the command, then ends it, until nothing is left. It returns how many it had to end.
// Each one that ends may make children of its own ours: they are seen in the next look.
func (k *kin) endLeftovers(ctx context.Context, r *running) (int, error) {
	linger := r.spec.Linger
	if r.grace != nil { // the end was asked for
		linger = 0
	}
	limit, begin := limitsOf(linger, r.spec.Grace), time.Now()
	asked := map[int]bool{}
	done, signals := ctx.Done(), r.signals
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		alive, err := k.living()
		if err != nil {
			return len(asked), fmt.Errorf("look for left-over processes: %w", err)
		}
		elapsed := time.Since(begin)
		if len(alive) == 0 {
			return len(asked), nil
		}
		if elapsed >= limit.giveUp {
			return len(asked), fmt.Errorf("end left-over processes %v: they don't go", pids(alive))
		}
		for _, p := range alive {
			end(p, limit.due(elapsed, asked[p.pid]), asked)
		}
		select {
		case <-tick.C:
		case <-done:
			done = nil
			limit = limit.hurried(elapsed)
		case sig, open := <-signals:
			if !open {
				signals = nil
			} else if wantsEnd(sig) {
				limit = limit.hurried(elapsed)
			}
		}
	}
}

// hurried asks now instead of later.
func (l limits) hurried(elapsed time.Duration) limits {
	early := max(l.ask-elapsed, 0)
	return limits{ask: l.ask - early, force: l.force - early, giveUp: l.giveUp - early}
}

func end(p proc, sig syscall.Signal, asked map[int]bool) {
	if sig == 0 {
		return
	}
	asked[p.pid] = true
	_ = unix.Kill(p.pid, sig)
	if p.state == 'T' && sig != unix.SIGKILL { // stopped: it can't act on it
		_ = unix.Kill(p.pid, unix.SIGCONT)
	}
}

func pids(procs []proc) []int {
	var list []int
	for _, p := range procs {
		list = append(list, p.pid)
	}
	return list
}

// dropsStop reports whether the command leaves SIGTSTP to the kernel: it neither handles, ignores nor blocks it.
func dropsStop(pid int) bool {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err == nil && leavesToKernel(status, unix.SIGTSTP)
}

// leavesToKernel reads the signal masks of /proc/PID/status.
func leavesToKernel(status []byte, sig syscall.Signal) bool {
	for _, line := range bytes.Split(status, []byte{'\n'}) {
		name, value, _ := bytes.Cut(line, []byte{':'})
		switch string(name) {
		case "SigBlk", "SigIgn", "SigCgt":
			mask, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 16, 64)
			if err != nil || mask&(1<<(sig-1)) != 0 {
				return false
			}
		}
	}
	return true
}
