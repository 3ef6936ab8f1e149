package safety

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unlabelled are the functions that call the file system without a label, and why that is so. All others go through one
// that asks Before first.
func unlabelled() map[string]string {
	const (
		callerAsks = "each caller asks"
		onlyLooks  = "it only looks, and what it cannot see counts as the worse"
		onlyNames  = "it only finds a name to tell; nothing is decided by it"
		followed   = "it follows links of the host's outside the trees, and writes nothing"
		lock       = "the lock is taken before anything is touched; its opening is labelled"
	)
	return map[string]string{
		"sys_linux.go openBeneath": callerAsks, "sys_unix.go walkBeneath": callerAsks, "sys_unix.go linkOrNotDir": callerAsks,
		"sys_linux.go renameAt": callerAsks, "sys_darwin.go renameAt": callerAsks, "datasync_linux.go datasync": callerAsks,
		"birth_linux.go birthOf": onlyLooks, "writer_linux.go writing": onlyLooks, "roots.go holds": onlyLooks, "roots.go RealPath": onlyLooks,
		"held.go ReadHeld": callerAsks, "held.go isIn": onlyLooks, "others.go placedBy": onlyNames, "others.go writerOf": onlyNames,
		"guard.go readlink": followed, "kernelfs_linux.go KernelFS": "its answer words a refusal of what would not work anyway",
		"syncall_linux.go syncFileSystem": callerAsks, "boot_linux.go thisBoot": onlyLooks, "boot_darwin.go thisBoot": onlyLooks,
		"lock.go Unlock": lock, "lock.go stillNamed": lock, "lock_unix.go isLocked": lock, "lock_unix.go lockFile": lock,
		"lock_linux.go identify": lock, "lock_linux.go startTicks": lock, "lock_linux.go bootTime": lock, "lock_darwin.go identify": lock,
		"probe.go removeEmptied": "it removes an empty folder of ours, if it can",
	}
}

// asking are the calls by which a function asks whether its own call may be made.
func asking() []string { return []string{"may", "before"} }

// TestEveryFileSystemCallCarriesALabel reads the source of what changes files: a function that calls the system directly
// must ask the seam first, or be listed above with a reason.
func TestEveryFileSystemCallCarriesALabel(t *testing.T) {
	without := map[string]bool{}
	for _, dir := range []string{".", "../autosync", "../autosync/internal/journal"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil && callsSystem(f.Body) && !asks(f.Body) {
					without[filepath.Base(name)+" "+f.Name.Name] = true
				}
			}
		}
	}
	for _, f := range slices.Sorted(maps.Keys(without)) {
		if unlabelled()[f] == "" {
			t.Errorf("%s: calls the file system without a label", f)
		}
	}
	for f := range unlabelled() {
		if !without[f] {
			t.Errorf("%s is listed as unlabelled, and is not there or carries a label", f)
		}
	}
}

// callsSystem finds calls of os, unix, syscall and filepath that touch the file system.
func callsSystem(body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		found = found || ok && slices.Contains([]string{"os", "unix", "syscall"}, pkg.Name) && !harmless(sel.Sel.Name)
		found = found || ok && pkg.Name == "filepath" && slices.Contains([]string{"EvalSymlinks", "Glob", "Walk", "WalkDir"}, sel.Sel.Name)
		return true
	})
	return found
}

// harmless are what these packages have besides calls that can fail for the disk's sake.
func harmless(name string) bool {
	return slices.Contains([]string{
		"Geteuid", "Getpid", "Getuid", "NewFile", "SameFile", "IsNotExist", "Close", "Mkdev", "UserHomeDir", "Getenv", "NsecToTimespec",
		"Errno", "FileMode", "Major", "Minor", "Pid",
	}, name)
}

func asks(body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			found = found || slices.Contains(asking(), f.Sel.Name)
		case *ast.Ident:
			found = found || slices.Contains(asking(), f.Name)
		}
		return true
	})
	return found
}
