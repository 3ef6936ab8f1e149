package overlay

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var then = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

// archive makes a tar; a header's Linkname is a regular file's content.
func archive(t *testing.T, entries ...tar.Header) *bytes.Reader {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range entries {
		text := ""
		if h.Typeflag == tar.TypeReg {
			text, h.Linkname = h.Linkname, ""
		}
		h.Size, h.ModTime = int64(len(text)), then
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(out.Bytes())
}

func TestUnpack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "node_modules")
	err := Unpack(archive(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o555},
		tar.Header{Name: "./m/", Typeflag: tar.TypeDir, Mode: 0o500},
		tar.Header{Name: "./m/f", Typeflag: tar.TypeReg, Mode: 0o4555, Linkname: "text"},
		tar.Header{Name: "m/same", Typeflag: tar.TypeLink, Linkname: "./m/f"},
		tar.Header{Name: "bin/tool", Typeflag: tar.TypeSymlink, Linkname: "../m/f"},
		tar.Header{Name: "m/pipe", Typeflag: tar.TypeFifo, Mode: 0o666},
	), dir, Owner{})
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "bin/tool")); got != "text" {
		t.Errorf("%q", got)
	}
	f, err := os.Lstat(filepath.Join(dir, "m/f"))
	same, serr := os.Lstat(filepath.Join(dir, "m/same"))
	if err != nil || serr != nil || !os.SameFile(f, same) || f.Mode() != 0o755 || !f.ModTime().Equal(then) {
		t.Errorf("%v %v, %v, %v", err, serr, f.Mode(), f.ModTime())
	}
	if d, err := os.Lstat(filepath.Join(dir, "m")); err != nil || d.Mode().Perm() != 0o700 || !d.ModTime().Equal(then) {
		t.Errorf("%v, %v, %v: not to be written in", err, d.Mode(), d.ModTime())
	}
	if _, err := os.Lstat(filepath.Join(dir, "m/pipe")); err == nil {
		t.Error("a pipe was made")
	}
}

// Whatever an image has, nothing is made outside of the directory, and no file is written a second time through a name.
func TestUnpackStaysInside(t *testing.T) {
	outside := t.TempDir()
	write(t, filepath.Join(outside, "precious"), "x", 0o644)
	link := tar.Header{Name: "d", Typeflag: tar.TypeSymlink, Linkname: outside}
	for _, entries := range [][]tar.Header{
		{{Name: "../escaped", Typeflag: tar.TypeReg, Mode: 0o644}},
		{{Name: "a/../../escaped", Typeflag: tar.TypeDir, Mode: 0o755}},
		{{Name: outside + "/escaped", Typeflag: tar.TypeReg, Mode: 0o644}},
		{link, {Name: "d/escaped", Typeflag: tar.TypeReg, Mode: 0o644}},
		{link, {Name: "d/escaped/e", Typeflag: tar.TypeDir, Mode: 0o755}},
		{link, {Name: "d", Typeflag: tar.TypeDir, Mode: 0o777}},
		{{Name: "d", Typeflag: tar.TypeSymlink, Linkname: outside + "/precious"}, {Name: "d", Typeflag: tar.TypeReg, Mode: 0o644, Linkname: "gone"}},
		{{Name: "d", Typeflag: tar.TypeLink, Linkname: outside + "/precious"}},
		{link, {Name: "e", Typeflag: tar.TypeLink, Linkname: "d/precious"}},
		{{Name: "f", Typeflag: tar.TypeReg, Mode: 0o644}, {Name: "d", Typeflag: tar.TypeSymlink, Linkname: "f"}, {Name: "d", Typeflag: tar.TypeReg, Mode: 0o644}},
		{{Name: "escaped", Typeflag: tar.TypeSymlink, Linkname: "x"}, {Name: "escaped", Typeflag: tar.TypeSymlink, Linkname: "y"}},
	} {
		parent := t.TempDir()
		if err := Unpack(archive(t, entries...), filepath.Join(parent, "tree"), Owner{}); err == nil {
			t.Errorf("%v: no error", entries)
		}
		if _, err := os.Lstat(filepath.Join(parent, "escaped")); err == nil {
			t.Errorf("%v: it escaped", entries)
		}
		if list, err := os.ReadDir(outside); err != nil || len(list) != 1 || read(t, filepath.Join(outside, "precious")) != "x" {
			t.Fatalf("%v: it escaped: %v, %v", entries, list, err)
		}
	}
	cut := archive(t, tar.Header{Name: "f", Typeflag: tar.TypeReg, Mode: 0o644, Linkname: "0123456789"})
	if err := Unpack(bytes.NewReader(readAll(t, cut)[:515]), filepath.Join(t.TempDir(), "tree"), Owner{}); err == nil {
		t.Error("half an archive was taken for a whole one")
	}
}

func readAll(t *testing.T, r *bytes.Reader) []byte {
	t.Helper()
	data := make([]byte, r.Len())
	if _, err := r.Read(data); err != nil {
		t.Fatal(err)
	}
	return data
}
