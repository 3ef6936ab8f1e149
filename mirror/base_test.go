package mirror

import (
	"bytes"
	"encoding/binary"
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

func encoded(b *Base) []byte {
	var out bytes.Buffer
	if err := b.write(&out); err != nil {
		panic(err)
	}
	return out.Bytes()
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
		if diff := cmp.Diff(maps.Collect(b.All()), maps.Collect(b.Unsorted())); diff != "" {
			t.Errorf("seed %d, unsorted: %s", seed, diff)
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
	if !bytes.Equal(encoded(a), encoded(b)) {
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
	whole := encoded(someBase(40, 5))
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
		if _, err := decodeBase(encoded(b)); !errors.Is(err, ErrBaseDamaged) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestReadBaseRefusesNewerVersion(t *testing.T) {
	data := bytes.Replace(encoded(NewBase()), []byte(baseMagic+"\x02"), []byte(baseMagic+"\x03"), 1)
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
	f.Add(encoded(someBase(5, 1)))
	f.Add(encoded(NewBase()))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < sumLen {
			t.Skip()
		}
		body := bytes.Clone(data[:len(data)-sumLen])
		b, err := decodeBase(append(body, le64(xxh3.Hash(body))...))
		if err != nil {
			return
		}
		again, err := decodeBase(encoded(b))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(maps.Collect(b.All()), maps.Collect(again.All())); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A million entries have to fit into a session's memory; an hundred thousand tell.
func TestBaseTakesUnder40BytesAnEntry(t *testing.T) {
	const n = 100_000
	before := liveBytes()
	b := usualBase(n)
	each := (liveBytes() - before) / n
	runtime.KeepAlive(b)
	if each > 40 {
		t.Errorf("%d bytes an entry", each)
	}
	t.Logf("%d bytes an entry, %d in the file", each, len(encoded(b))/n)
}

// usualBase is what a build of n files, 40 to a directory, leaves.
func usualBase(n int) *Base {
	b := NewBase()
	r := rand.New(rand.NewPCG(1, 1))
	now := int64(1_700_000_000_000_000_000)
	var in []namedEntry
	for i := range n {
		now += 50_000 + r.Int64N(100_000)
		project := Stamp{Kind: safety.File, Mode: 0o644, Size: 300 + r.Int64N(9000), Mtime: now, Ctime: now + 20_000, Ino: uint64(1_000_000 + i), Dev: 1 << 16}
		mirror := project
		mirror.Ctime, mirror.Ino = now+3600e9, uint64(5_000_000+i)
		in = append(in, namedEntry{fmt.Sprintf("file%05d.go", i), Entry{State: State{Kind: safety.File, Content: Content{Size: project.Size}}, Project: project, Mirror: mirror}})
		if len(in) == 40 {
			b.putAll(safety.RelPath(fmt.Sprintf("src/package%04d/internal", i/40)), in)
			in = in[:0]
		}
	}
	return b
}

func liveBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A base in which directories have many blocks, against a map.
func TestBaseIsAsAMapWouldBe(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 7))
		b, want := NewBase(), map[safety.RelPath]Entry{}
		for range 1500 {
			p := safety.RelPath(fmt.Sprintf("%sn%d", []string{"", "d/", "d-/", "d/e/"}[r.IntN(4)], r.IntN(120)))
			e := someEntry(r)
			if r.IntN(3) == 0 {
				e = Entry{}
			}
			b.Put(p, e)
			if want[p] = e; e.State.Absent() {
				delete(want, p)
			}
			if got := b.Get(p); got != e {
				t.Fatalf("seed %d: %s is %+v, put %+v", seed, p, got, e)
			}
		}
		files := 0
		for p, e := range want {
			if b.Get(p) != e {
				t.Errorf("seed %d: %s is %+v, want %+v", seed, p, b.Get(p), e)
			}
			if e.State.Kind == safety.File {
				files++
			}
		}
		var got []safety.RelPath
		for p := range b.All() {
			got = append(got, p)
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), got); diff != "" {
			t.Errorf("seed %d: %s", seed, diff)
		}
		if b.Len() != len(want) || b.Files() != files || b.Get("d/never") != (Entry{}) || b.Get("m") != (Entry{}) {
			t.Errorf("seed %d: %d entries, %d files; want %d, %d", seed, b.Len(), b.Files(), len(want), files)
		}
	}
}

func TestBaseOfVersion1IsRead(t *testing.T) {
	for seed := range uint64(4) {
		b := someBase(60, seed)
		got, err := decodeBase(flat(b))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(maps.Collect(b.All()), maps.Collect(got.All())); diff != "" || got.ownReadme != b.ownReadme {
			t.Errorf("seed %d: readme %v, %s", seed, got.ownReadme, diff)
		}
	}
}

// flat is a base file of version 1.
func flat(b *Base) []byte {
	out := []byte(baseMagic)
	flags := uint64(0)
	if b.ownReadme {
		flags = flagOwnReadme
	}
	for _, n := range []uint64{1, flags, uint64(b.Len())} {
		out = binary.AppendUvarint(out, n)
	}
	before := ""
	for p, e := range b.All() {
		shared := sharedPrefix(before, string(p))
		out = appendString(binary.AppendUvarint(out, uint64(shared)), string(p[shared:]))
		out = appendFlat(out, e)
		before = string(p)
	}
	return binary.LittleEndian.AppendUint64(out, xxh3.Hash(out))
}

func appendFlat(out []byte, e Entry) []byte {
	bits := byte(e.State.Kind)
	if e.State.Exec {
		bits |= flatExec
	}
	if e.State.Content.Known() {
		bits |= flatKnown
	}
	out = append(out, bits)
	if e.State.Kind == safety.File {
		out = binary.AppendVarint(out, e.State.Content.Size)
	}
	if e.State.Content.Known() {
		out = append(out, e.State.Content.Sum[:]...)
	}
	if e.State.Kind == safety.Symlink {
		out = appendString(out, e.State.Target)
	}
	for _, s := range []Stamp{e.Project, e.Mirror} {
		out = append(out, byte(s.Kind))
		if s == (Stamp{}) {
			continue
		}
		out = binary.AppendUvarint(out, uint64(s.Mode))
		for _, n := range []int64{s.Size, s.Mtime, s.Ctime} {
			out = binary.AppendVarint(out, n)
		}
		out = binary.AppendUvarint(binary.AppendUvarint(out, s.Ino), s.Dev)
	}
	return out
}
