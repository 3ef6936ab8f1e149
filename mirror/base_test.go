package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/google/go-cmp/cmp"
	"github.com/zeebo/xxh3"
)

func someStamp(r *rand.Rand) Stamp {
	if r.IntN(4) == 0 {
		return Stamp{}
	}
	return Stamp{Kind: safety.Kind(1 + r.IntN(4)), Mode: r.Uint32() & 0o7777, Size: r.Int64(), Mtime: -r.Int64(), Ctime: r.Int64(), Ino: r.Uint64(), Dev: r.Uint64()}
}

func someEntry(r *rand.Rand) Entry {
	e := Entry{State: State{Kind: safety.Kind(1 + r.IntN(3))}, Project: someStamp(r), Mirror: someStamp(r)}
	switch e.State.Kind {
	case safety.File:
		e.State.Exec = r.IntN(2) == 0
		e.State.Content.Size = r.Int64()
		if r.IntN(2) == 0 {
			e.State.Content.Sum = xxh3.HashString128(fmt.Sprint(r.Int())).Bytes()
		}
	case safety.Symlink:
		e.State.Target = "../a\n\xff"
	}
	return e
}

func someBase(n int, seed uint64) *Base {
	r := rand.New(rand.NewPCG(seed, 1))
	b := NewBase()
	b.ownReadme = seed%2 == 0
	for range n {
		p := safety.RelPath(fmt.Sprintf("d%d/e\xfe%d/f\n%d", r.IntN(9), r.IntN(9), r.IntN(n)))
		b.Put(p, someEntry(r))
	}
	return b
}

func TestBaseSurvivesItsFile(t *testing.T) {
	for seed := range uint64(20) {
		b := someBase(int(seed)*7, seed)
		file := filepath.Join(t.TempDir(), "base")
		if err := b.WriteFile(file); err != nil {
			t.Fatal(err)
		}
		got, err := ReadBase(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(maps.Collect(b.All()), maps.Collect(got.All())); diff != "" {
			t.Errorf("seed %d: %s", seed, diff)
		}
		if got.ownReadme != b.ownReadme || got.Len() != b.Len() {
			t.Errorf("seed %d: readme %v, %d entries", seed, got.ownReadme, got.Len())
		}
	}
}

func TestBaseIsTheSameBytesWhateverTheOrderOfPuts(t *testing.T) {
	a := someBase(100, 3)
	b := NewBase()
	b.ownReadme = a.ownReadme
	all := slices.Collect(maps.Keys(maps.Collect(a.All())))
	for _, p := range all {
		b.Put(p, a.Get(p))
		b.Put(p+"x", a.Get(p))
	}
	for _, p := range all {
		b.Put(p+"x", Entry{})
	}
	if !bytes.Equal(a.encode(), b.encode()) {
		t.Error("bytes differ")
	}
}

func TestBaseYieldsParentsFirstAndForgetsAbsentEntries(t *testing.T) {
	b := NewBase()
	file := Entry{State: State{Kind: safety.File}}
	for _, p := range []safety.RelPath{"a/b", "a.txt", "a", "a-b", "a/b/c"} {
		b.Put(p, file)
	}
	b.Put("a-b", Entry{})
	b.Put("never", Entry{})
	var got []string
	for p := range b.All() {
		got = append(got, string(p))
	}
	if want := "a a.txt a/b a/b/c"; strings.Join(got, " ") != want || b.Len() != 4 {
		t.Errorf("%d: %q, want %q", b.Len(), got, want)
	}
	if b.Get("a-b") != (Entry{}) {
		t.Error("removed entry is still there")
	}
}

func TestReadBaseRefusesEveryDamage(t *testing.T) {
	whole := someBase(40, 5).encode()
	refuse := func(what string, data []byte) {
		t.Helper()
		if _, err := decodeBase(data); !errors.Is(err, ErrBaseDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := range whole {
		refuse(fmt.Sprintf("cut at %d", n), whole[:n])
		bad := bytes.Clone(whole)
		bad[n] ^= 0x10
		refuse(fmt.Sprintf("bit of byte %d", n), bad)
	}
	refuse("longer", append(bytes.Clone(whole), 0))

	file := filepath.Join(t.TempDir(), "base")
	if err := os.WriteFile(file, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadBase(file); !errors.Is(err, ErrBaseDamaged) || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
}

func TestReadBaseRefusesPathsThatLeadOutside(t *testing.T) {
	for _, p := range []safety.RelPath{"../x", "/etc/x", "a//b", "a/./b", "", "a\x00b", "x/"} {
		b := NewBase()
		b.Put(p, Entry{State: State{Kind: safety.File}})
		if _, err := decodeBase(b.encode()); !errors.Is(err, ErrBaseDamaged) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestReadBaseRefusesNewerVersion(t *testing.T) {
	data := bytes.Replace(NewBase().encode(), []byte(baseMagic+"\x01"), []byte(baseMagic+"\x02"), 1)
	data = data[:len(data)-sumLen]
	data = append(data, le64(xxh3.Hash(data))...)
	if _, err := decodeBase(data); err == nil || errors.Is(err, ErrBaseDamaged) || !strings.Contains(err.Error(), "newer") {
		t.Error(err)
	}
}

func le64(v uint64) []byte {
	out := make([]byte, 8)
	for i := range out {
		out[i] = byte(v >> (8 * i))
	}
	return out
}

// The checksum is set right, so that the fuzzer gets past it.
func FuzzDecodeBaseNeverPanicsAndRoundTrips(f *testing.F) {
	f.Add(someBase(5, 1).encode())
	f.Add(NewBase().encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < sumLen {
			t.Skip()
		}
		body := bytes.Clone(data[:len(data)-sumLen])
		b, err := decodeBase(append(body, le64(xxh3.Hash(body))...))
		if err != nil {
			return
		}
		again, err := decodeBase(b.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(maps.Collect(b.All()), maps.Collect(again.All())); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A million entries have to fit into a session's memory; an hundred thousand tell.
func TestBaseTakesUnder250BytesAnEntry(t *testing.T) {
	const n = 100_000
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := live()
	b := newBase(n)
	for i := range n {
		b.Put(safety.RelPath(fmt.Sprintf("src/package%03d/internal/file%05d.go", i/100, i)), Entry{State: State{Kind: safety.File}})
	}
	each := (live() - before) / n
	runtime.KeepAlive(b)
	if each > 250 {
		t.Errorf("%d bytes an entry", each)
	}
	t.Logf("%d bytes an entry, %d in the file", each, len(b.encode())/n)
}
