package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/alca-mount/alca-mount/launcher"
)

func TestMain(m *testing.M) {
	launcher.Inside() // the test binary is the program, so it is also started as a namespace's first process
	testscript.Main(m, map[string]func(){"alca-mount": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUp,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": exitsWith, "json": jsonHas, "tree": treeIs, "mode": modeIs, "hex": writeHex, "setmtime": setTime,
		},
	})
}

// setUp gives a script a home and a state directory of its own, and no session around it.
func setUp(e *testscript.Env) error {
	home := filepath.Join(e.WorkDir, "home")
	e.Setenv("HOME", home)
	if source, err := filepath.Abs("../.."); err == nil {
		e.Setenv("SOURCE", source)
	}
	e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
	for _, name := range []string{"ALCA_MOUNT", "ALCA_MOUNT_SESSION", "ALCA_MOUNT_PROJECT", "NO_COLOR", "XDG_CONFIG_HOME"} {
		e.Setenv(name, "")
	}
	return launchPlainly(home)
}

// launchPlainly makes --isolation none the default of a home directory without a configuration: scripts play the user's
// part from inside CMD.
func launchPlainly(home string) error {
	config := filepath.Join(home, ".config/alca-mount/config.toml")
	if _, err := os.Lstat(config); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
		return err
	}
	return os.WriteFile(config, []byte("isolation = \"none\"\n"), 0o600)
}

func condition(cond string) (bool, error) {
	switch cond {
	case "root":
		return os.Geteuid() == 0, nil
	case "userns":
		return exec.Command("unshare", "-Ur", "sh", "-c", "echo 2 > /proc/sys/user/max_inotify_watches").Run() == nil, nil
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}

// exitsWith runs a command that must end with a code: code N CMD ARG…
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N CMD ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// jsonHas looks into JSON: json FILE PATH WANT, where PATH is keys and indices with dots between them, "len" the length.
func jsonHas(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH WANT")
	}
	var at any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &at))
	for key := range strings.SplitSeq(args[1], ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[key]
		case []any:
			if key == "len" {
				at = len(v)
				continue
			}
			i, err := strconv.Atoi(key)
			ts.Check(err)
			if i >= len(v) {
				ts.Fatalf("%s: no element %d in %v", args[1], i, v)
			}
			at = v[i]
		default:
			at = nil
		}
	}
	got, err := marshal(at)
	ts.Check(err)
	if s, ok := at.(string); ok {
		got = []byte(s)
	}
	if (string(got) == args[2]) == neg {
		ts.Fatalf("%s is %s, want %s (negated: %v)", args[1], got, args[2], neg)
	}
}

// treeIs compares the names below a directory: tree DIR NAME…
func treeIs(ts *testscript.TestScript, neg bool, args []string) {
	var got []string
	top := ts.MkAbs(args[0])
	ts.Check(filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
		if err == nil && path != top {
			rel, _ := filepath.Rel(top, path)
			got = append(got, filepath.ToSlash(rel))
		}
		return err
	}))
	if (strings.Join(got, " ") == strings.Join(args[1:], " ")) == neg {
		ts.Fatalf("%s holds %q (negated: %v)", args[0], got, neg)
	}
}

// modeIs compares permission bits: mode FILE OCTAL
func modeIs(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Lstat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); (got == args[1]) == neg {
		ts.Fatalf("%s has mode %s", args[0], got)
	}
}

// writeHex makes a file whose name is given as Go escapes: hex NAME TEXT
func writeHex(ts *testscript.TestScript, neg bool, args []string) {
	name, err := strconv.Unquote(`"` + args[0] + `"`)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(name), bytes.TrimRight([]byte(args[1]+"\n"), " "), 0o644))
}

// setTime sets a file's modification time, in seconds: setmtime FILE SECONDS
func setTime(ts *testscript.TestScript, neg bool, args []string) {
	s, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Chtimes(ts.MkAbs(args[0]), time.Unix(s, 0), time.Unix(s, 0)))
}
