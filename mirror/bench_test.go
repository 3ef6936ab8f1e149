package mirror

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// benchWorld has 2,000 files of 8 kB in 200 directories.
func benchWorld(b *testing.B) *world {
	w := newWorld(b)
	text := bytes.Repeat([]byte("source\n"), 1170)
	for n := range 2000 {
		file := filepath.Join(w.project, fmt.Sprintf("d%d/e%d/f%d.go", n%20, n%10, n))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return w
}

func BenchmarkCreate(b *testing.B) {
	w := benchWorld(b)
	top := w.mirror
	for n := 0; b.Loop(); n++ {
		w.mirror = filepath.Join(top, fmt.Sprint(n))
		w.create(Options{Policy: everything(b)})
	}
}

func BenchmarkScan(b *testing.B) {
	w := benchWorld(b)
	m := w.create(Options{Policy: everything(b)})
	b.ReportAllocs()
	for b.Loop() {
		scanOf(b, m, ProjectSide)
	}
}
