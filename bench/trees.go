package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// tree is one that is generated: the same each time.
type tree struct {
	name    string
	files   int
	bytes   int64
	perDir  int
	rewrite func(i int, size int64) int64 // spreads the sizes
}

func trees() map[string]tree {
	return map[string]tree{
		"T1":  {name: "T1", files: 10_000, bytes: 150 << 20, perDir: 12, rewrite: sourceLike},
		"T2":  {name: "T2", files: 60_000, bytes: 60_000 * 400, perDir: 20},
		"big": {name: "big", files: 1, bytes: 2 << 30, perDir: 1},
	}
}

// ofSize is a tree of so many small files, for the measurements of scale.
func ofSize(files int) tree {
	return tree{name: fmt.Sprintf("T%d", files), files: files, bytes: int64(files) * 300, perDir: 40}
}

// sourceLike makes one file in a hundred large, and the others small, with the same sum.
func sourceLike(i int, mean int64) int64 {
	if i%100 == 0 {
		return mean * 60
	}
	return mean * 40 / 99
}

// generate writes the tree below a directory that is not there yet.
func (t tree) generate(dir string) error {
	r := rand.New(rand.NewPCG(1, uint64(t.files)))
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = "abcdefghijklmnopqrstuvwxyz(){}\n\t "[r.IntN(33)]
	}
	for i := range t.files {
		sub := filepath.Join(dir, t.directory(i))
		if i%t.perDir == 0 {
			if err := os.MkdirAll(sub, 0o755); err != nil {
				return err
			}
		}
		size := t.bytes / int64(t.files)
		if t.rewrite != nil {
			size = t.rewrite(i, size)
		}
		if err := writeFile(filepath.Join(sub, fmt.Sprintf("file%06d.txt", i)), block, r.IntN(len(block)/2), size); err != nil {
			return err
		}
	}
	return nil
}

// directory is the path of a file's directory: three levels, as a project's are.
func (t tree) directory(i int) string {
	d := i / t.perDir
	return filepath.Join(fmt.Sprintf("pkg%02d", d%37), fmt.Sprintf("part%03d", d/37%97), fmt.Sprintf("dir%05d", d))
}

func (t tree) path(i int) string {
	return filepath.Join(t.directory(i), fmt.Sprintf("file%06d.txt", i))
}

func writeFile(name string, block []byte, from int, size int64) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	for size > 0 {
		n := min(size, int64(len(block)-from))
		if _, err := f.Write(block[from : from+int(n)]); err != nil {
			return err
		}
		size, from = size-n, 0
	}
	return nil
}
