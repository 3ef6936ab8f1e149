package gitrepo

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

func deflated(p []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	_, _ = z.Write(p)
	_ = z.Close()
	return out.Bytes()
}

// loose writes an object file as it is given.
func (b *brought) loose(id, content string) {
	b.Helper()
	write(b.T, b.mirror, ".git/objects/"+id[:2]+"/"+id[2:], string(deflated([]byte(content))))
}

// packOf writes a pack of one object, an entry made of the one with the id base by a delta, and commits a tree with it.
func (b *brought) packOf(id, base string, delta []byte) {
	b.Helper()
	var pack bytes.Buffer
	pack.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x01")
	at := pack.Len()
	pack.Write(objectHead(plumbing.REFDeltaObject, int64(len(delta))))
	pack.Write(rawID(base))
	pack.Write(deflated(delta))
	sum := sha1.Sum(pack.Bytes())
	pack.Write(sum[:])
	name := filepath.Join(b.mirror, ".git/objects/pack/pack-"+strings.Repeat("a", 40))
	write(b.T, b.mirror, ".git/objects/pack/pack-"+strings.Repeat("a", 40)+".pack", pack.String())
	var w packWriter
	_ = w.index.OnHeader(1)
	if err := w.index.OnInflatedObjectContent(plumbing.NewHash(id), int64(at), 0, nil); err != nil {
		b.Fatal(err)
	}
	if err := w.index.OnFooter(sum); err != nil {
		b.Fatal(err)
	}
	if err := w.writeIndex(name + ".idx"); err != nil {
		b.Fatal(err)
	}
	b.commitTree(b.write("tree", append([]byte("100644 f\x00"), rawID(id)...)))
}

func rawID(id string) []byte {
	h := plumbing.NewHash(id)
	return h[:]
}

func (b *brought) commitTree(tree string) {
	b.Helper()
	parent := strings.TrimSpace(git(b.T, b.mirror, "rev-parse", "HEAD"))
	b.object("commit", []byte("tree "+tree+"\nparent "+parent+"\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nmade\n"))
}

// A few bytes that stand for gigabytes, or for themselves, are refused before anybody reads them.
func TestBringHomeReadsWithinBounds(t *testing.T) {
	fresh := newBrought(t)
	id, other := strings.Repeat("12", 20), strings.Repeat("ab", 20)
	delta := func(from, to uint64) []byte { return binary.AppendUvarint(binary.AppendUvarint(nil, from), to) }
	for name, do := range map[string]func(b *brought){
		"a delta of itself":           func(b *brought) { b.packOf(id, id, delta(1, 1)) },
		"a delta of nothing":          func(b *brought) { b.packOf(id, other, delta(1, 1)) },
		"a delta that makes too much": func(b *brought) { b.packOf(id, id, delta(1, 1<<40)) },
		"a delta cut short":           func(b *brought) { b.packOf(id, id, []byte{0xff}) },
		"a commit too large": func(b *brought) {
			b.loose(other, fmt.Sprintf("commit %d\x00%s", maxSmall+1, strings.Repeat("x", maxSmall+1)))
			b.point(other)
		},
		"an object without a head": func(b *brought) { b.loose(other, strings.Repeat("x", 1<<20)); b.point(other) },
		"one longer than it says":  func(b *brought) { b.loose(other, "commit 5\x00"+strings.Repeat("x", 1<<20)); b.point(other) },
		"one shorter than it says": func(b *brought) { b.loose(other, "commit 500\x00x"); b.point(other) },
	} {
		t.Run(name, func(t *testing.T) {
			b := fresh.another(t)
			do(b)
			b.before = b.state()
			got := b.bring()
			if len(got.Branches) != 0 || len(got.Refused) != 1 || !strings.Contains(got.Refused[0].Why, errBounds.Error()) {
				t.Errorf("brought %+v", got)
			}
		})
	}
}

// An index that says that there are billions of objects is refused before room is made for them.
func TestBringHomeRefusesAnIndexThatLies(t *testing.T) {
	b := newBrought(t)
	b.commit("a", "1\n")
	name := ".git/objects/pack/pack-" + strings.Repeat("a", 40)
	write(t, b.mirror, name+".pack", "PACK\x00\x00\x00\x02\x00\x00\x00\x00")
	head := append([]byte("\xfftOc\x00\x00\x00\x02"), make([]byte, 255*4)...)
	write(t, b.mirror, name+".idx", string(append(binary.BigEndian.AppendUint32(head, 1<<32-1), make([]byte, 100)...)))
	if got, err := b.tryBring(); err == nil || !strings.Contains(err.Error(), "size") {
		t.Errorf("brought %+v, %v", got, err)
	}
	if err := os.Truncate(filepath.Join(b.mirror, name+".idx"), maxPackIndex+1); err != nil {
		t.Fatal(err)
	}
	if got, err := b.tryBring(); err == nil || !strings.Contains(err.Error(), "an index of") {
		t.Errorf("brought %+v, %v", got, err)
	}
}

// Chains that are sound by themselves are not when one goes on from another.
func TestChainsAreBoundedTogether(t *testing.T) {
	p := &boundedPack{known: map[int64]chain{}}
	long, sizes := make([]int64, maxChain-1), make([]int64, maxChain-1)
	for i := range long {
		long[i] = int64(i)
	}
	if err := p.note(long, sizes, chain{1, 10}); err != nil || p.known[0].length != maxChain {
		t.Fatalf("%v, %+v", err, p.known[0])
	}
	if err := p.note([]int64{-1}, []int64{1}, p.known[0]); err == nil {
		t.Error("longer than is read")
	}
	if err := p.note([]int64{-2}, []int64{1}, chain{2, maxChainSize}); err == nil {
		t.Error("larger than is read")
	}
	if err := p.note([]int64{-3}, []int64{1}, chain{1, maxHeld + 1}); err == nil {
		t.Error("made of one that is streamed")
	}
	if err := p.note(nil, nil, chain{1, 1 << 40}); err != nil {
		t.Error("a large object by itself is streamed: ", err)
	}
}

// What only the project has does not come to a path of the agent's by its name: the next mirror would show it.
func TestBringHomeRefusesToNameWhatTheAgentDoesNotHave(t *testing.T) {
	b := newBrought(t)
	write(t, b.project, "never-committed", "the key\n")
	blob := strings.TrimSpace(git(t, b.project, "hash-object", "-w", "never-committed"))
	id := make([]byte, 20)
	fmt.Sscanf(blob, "%40x", &id)
	for _, claimed := range []bool{false, true} {
		if claimed {
			b.loose(blob, "blob 3\x00lie")
		}
		b.commitTree(b.write("tree", append([]byte("100644 a-public\x00"), id...)))
		b.before = b.state()
		got := b.bring()
		if len(got.Branches) != 0 || len(got.Refused) != 1 || got.Refused[0].Path != "a-public" {
			t.Errorf("claimed %v: brought %+v", claimed, got)
		}
	}
	// What it has it may move, and bring back from its history.
	b.mirror, _ = standalone(t, b.project, func(p string) bool { return strings.HasPrefix(p, "private") })
	git(t, b.mirror, "checkout", "-qf", "main")
	git(t, b.mirror, "mv", "README.md", "renamed")
	git(t, b.mirror, "commit", "-qm", "moved")
	if got := b.bring(); len(got.Refused) != 0 || len(got.Branches) != 1 {
		t.Errorf("brought %+v", got)
	}
}

func TestBringHomeBoundsTheBranches(t *testing.T) {
	b := newBrought(t)
	id := b.commit("a", "1\n")
	write(t, b.mirror, ".git/packed-refs", fmt.Sprintf("%[1]s refs/heads/b1\n%[1]s refs/heads/b2\n%[1]s refs/heads/b3\n", id))
	got, err := BringHome(t.Context(), filepath.Join(b.mirror, ".git"), b.project,
		BringOptions{Refs: "refs/alca/s1", Work: realTemp(t), Refuse: refuseInTests, MaxBranches: 2})
	if err != nil || len(got.Branches) != 2 || len(got.Refused) != 1 || got.Refused[0].Branch != "b3" || !strings.Contains(got.Refused[0].Why, "1 more") {
		t.Errorf("brought %+v, %v", got, err)
	}
}

// Two names of which one would have to be the other's directory are no names for refs; the others come all the same.
func TestBringHomeGoesOnBehindARefInTheWay(t *testing.T) {
	b := newBrought(t)
	id := b.commit("a", "1\n")
	write(t, b.mirror, ".git/packed-refs", fmt.Sprintf("%[1]s refs/heads/a\n%[1]s refs/heads/a/b\n%[1]s refs/heads/z\n", id))
	got := b.bring()
	if len(got.Branches) != 3 || len(got.Refused) != 1 || got.Refused[0].Branch != "a/b" || !strings.Contains(got.Refused[0].Why, "refs/alca/s1/a ") {
		t.Errorf("brought %+v", got)
	}
}
