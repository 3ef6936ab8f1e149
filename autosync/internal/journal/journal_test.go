package journal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

type record struct{ N int }

func collect(t *testing.T, path string) []int {
	t.Helper()
	var got []int
	if err := Read(path, func(r record) error { got = append(got, r.N); return nil }); err != nil {
		t.Fatal(err)
	}
	return got
}

func write(t *testing.T, path string, ns ...int) {
	t.Helper()
	j, err := Open(path, func(record) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range ns {
		if err := j.Append(record{n}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAppendedRecordsComeBackInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if got := collect(t, path); got != nil {
		t.Fatalf("no journal, but records %v", got)
	}
	write(t, path, 1, 2)
	write(t, path, 3)
	if got := collect(t, path); !slices.Equal(got, []int{1, 2, 3}) {
		t.Fatalf("got %v", got)
	}
}

// TestEveryTruncationKeepsTheWholeRecords cuts the file at each byte, as a crash may, and appends again.
func TestEveryTruncationKeepsTheWholeRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	write(t, path, 1, 2, 3)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := len(whole) / 3
	for n := range len(whole) {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		write(t, path, 9)
		want := append([]int{1, 2, 3}[:n/size:n/size], 9)
		if got := collect(t, path); !slices.Equal(got, want) {
			t.Fatalf("cut at byte %d: %v, want %v", n, got, want)
		}
	}
}

func TestDamageEndsTheJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	write(t, path, 1, 2, 3)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := len(whole) / 3
	for n := range whole {
		damaged := slices.Clone(whole)
		damaged[n] ^= 0x40
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := collect(t, path); !slices.Equal(got, []int{1, 2, 3}[:n/size]) {
			t.Fatalf("byte %d damaged: %v", n, got)
		}
	}
}

func TestReplayErrorStops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	write(t, path, 1)
	if _, err := Open(path, func(record) error { return syscall.EINVAL }); !errors.Is(err, syscall.EINVAL) {
		t.Fatalf("err = %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, '{', '}'})
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(path, func(record) error { return nil })
		if err != nil {
			return // a whole record that is not ours
		}
		defer j.Close()
		before := collect(t, path)
		if err := j.Append(record{7}); err != nil {
			t.Fatal(err)
		}
		if err := j.Flush(false); err != nil {
			t.Fatal(err)
		}
		if got := collect(t, path); !slices.Equal(got, append(before, 7)) {
			t.Fatalf("after appending to %v: %v", before, got)
		}
	})
}
