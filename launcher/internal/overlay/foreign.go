package overlay

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Library is the C library that programs of Linux take.
type Library string

// The libraries; an image with neither counts as one with glibc.
const (
	Glibc Library = "glibc"
	Musl  Library = "musl"
)

// Loader is where a library's dynamic loader is on this machine's architecture, as the ABIs of both say; "": unknown.
func Loader(lib Library) string {
	if lib == Musl {
		return map[string]string{"amd64": "/lib/ld-musl-x86_64.so.1", "arm64": "/lib/ld-musl-aarch64.so.1", "386": "/lib/ld-musl-i386.so.1",
			"arm": "/lib/ld-musl-armhf.so.1", "riscv64": "/lib/ld-musl-riscv64.so.1"}[runtime.GOARCH]
	}
	return map[string]string{"amd64": "/lib64/ld-linux-x86-64.so.2", "arm64": "/lib/ld-linux-aarch64.so.1", "386": "/lib/ld-linux.so.2",
		"arm": "/lib/ld-linux-armhf.so.3", "riscv64": "/lib/ld-linux-riscv64-lp64d.so.1"}[runtime.GOARCH]
}

// Foreign says why a directory of this machine would not work in a container whose programs take lib: it holds programs or
// modules of another system, machine or C library; "": nothing was found.
func Foreign(dir string, lib Library) (why string, err error) {
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() || !mayBeNative(d) {
			return nil
		}
		rel, _ := filepath.Rel(dir, p)
		if why = foreignFile(p, lib); why != "" {
			why = fmt.Sprintf("%s is %s", filepath.ToSlash(rel), why)
			return fs.SkipAll
		}
		return nil
	})
	return why, err
}

// mayBeNative leaves out what no loader would take: most of node_modules is text.
func mayBeNative(d fs.DirEntry) bool {
	name := d.Name()
	for _, suffix := range []string{".node", ".so", ".dylib", ".pyd"} {
		if strings.HasSuffix(name, suffix) || strings.Contains(name, suffix+".") {
			return true
		}
	}
	info, err := d.Info()
	return err == nil && info.Mode()&0o111 != 0
}

func foreignFile(p string, lib Library) string {
	f, err := os.Open(p)
	if err != nil {
		return "not readable"
	}
	defer f.Close()
	head := make([]byte, 4)
	if n, _ := f.ReadAt(head, 0); n < 4 {
		return ""
	}
	if bytes.Equal(head, []byte(elf.ELFMAG)) {
		return foreignELF(f, lib)
	}
	if _, err := macho.NewFile(f); err == nil {
		return "made for macOS"
	}
	if _, err := macho.NewFatFile(f); err == nil {
		return "made for macOS"
	}
	return ""
}

func foreignELF(f *os.File, want Library) string {
	e, err := elf.NewFile(f)
	if err != nil {
		return "a damaged program"
	}
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM, "riscv64": elf.EM_RISCV}[runtime.GOARCH]
	if machine != 0 && e.Machine != machine {
		return "made for " + e.Machine.String()
	}
	libs, err := e.ImportedLibraries()
	if err != nil {
		return ""
	}
	if made := madeFor(libs); made != "" && made != want {
		return fmt.Sprintf("made for %s", made)
	}
	return ""
}

// madeFor tells by the libraries that a program names which C library it takes; "": it does not say.
func madeFor(libs []string) Library {
	for _, lib := range libs {
		switch {
		case strings.HasPrefix(lib, "libc.musl"), strings.HasPrefix(lib, "ld-musl"):
			return Musl
		case lib == "libc.so.6", strings.HasPrefix(lib, "ld-linux"):
			return Glibc
		}
	}
	return ""
}
