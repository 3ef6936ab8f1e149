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

// Foreign says why a directory of this machine would not work in a container: it holds programs or modules of another
// system, machine or C library than glibc's, which is what images have unless they say otherwise; "": nothing was found.
func Foreign(dir string) (why string, err error) {
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() || !mayBeNative(d) {
			return nil
		}
		rel, _ := filepath.Rel(dir, p)
		if why = foreignFile(p); why != "" {
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

func foreignFile(p string) string {
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
		return foreignELF(f)
	}
	if _, err := macho.NewFile(f); err == nil {
		return "made for macOS"
	}
	if _, err := macho.NewFatFile(f); err == nil {
		return "made for macOS"
	}
	return ""
}

func foreignELF(f *os.File) string {
	e, err := elf.NewFile(f)
	if err != nil {
		return "a damaged program"
	}
	want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM, "riscv64": elf.EM_RISCV}[runtime.GOARCH]
	if want != 0 && e.Machine != want {
		return "made for " + e.Machine.String()
	}
	libs, err := e.ImportedLibraries()
	if err != nil {
		return ""
	}
	for _, lib := range libs {
		if strings.HasPrefix(lib, "libc.musl") || strings.HasPrefix(lib, "ld-musl") {
			return "made for musl"
		}
	}
	return ""
}
