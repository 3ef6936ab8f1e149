package mirror

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

func (w *world) tar(opts TarOptions) []byte {
	w.t.Helper()
	session, err := w.state.New(w.project, Record{})
	if err != nil {
		w.t.Fatal(err)
	}
	opts.Session = session
	var out bytes.Buffer
	if _, err := SnapshotTar(w.t.Context(), w.project, &out, opts); err != nil {
		w.t.Fatal(err)
	}
	if err := session.Remove(); err != nil {
		w.t.Fatal(err)
	}
	return out.Bytes()
}

func tarNames(t *testing.T, data []byte) (names []string, headers map[string]*tar.Header) {
	t.Helper()
	headers = map[string]*tar.Header{}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names, headers
		}
		if err != nil {
			t.Fatal(err)
		}
		names, headers[h.Name] = append(names, h.Name), h
	}
}

func TestSnapshotTarHoldsAnyName(t *testing.T) {
	long := strings.Repeat("d/", 60) + strings.Repeat("x", 120)
	w := newWorld(t, "é", `"byte\xff"`, `"new\nline"`, long+" = deep", "empty/", "l -> "+long, "set 4755 = x", "a/b", "a-b", "ro 0444")
	opts := TarOptions{Options: Options{Policy: policyOf(t, rules("secret", "ro"))}}
	data := w.tar(opts)
	names, headers := tarNames(t, data)
	for _, want := range []string{"é", "byte\xff", "new\nline", long, "empty/", "l", "a-b"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %q in %q", want, names)
		}
	}
	plain := slices.Clone(names)
	for i, name := range plain {
		plain[i] = strings.TrimSuffix(name, "/")
	}
	if !slices.IsSorted(plain) || headers["l"].Linkname != long || headers["set"].Mode&0o7000 != 0 || headers["ro"].Mode != 0o444 || headers["set"].Uid != 0 {
		t.Errorf("%q: %+v", names, headers)
	}
	if !bytes.Equal(data, w.tar(opts)) {
		t.Error("two tars of one tree differ")
	}
	at := time.Unix(7, 0)
	opts.Mtime, opts.KeepOwners = &at, true
	_, headers = tarNames(t, w.tar(opts))
	if h := headers[long]; !h.ModTime.Equal(at) || h.Uid != os.Geteuid() {
		t.Errorf("%+v", h)
	}
}

func TestSnapshotKeepsTheProjectsModes(t *testing.T) {
	w := newWorld(t, "ro 0644", "rod/f 0644", "w")
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := Snapshot(t.Context(), w.project, dir, Options{Policy: policyOf(t, rules("", "ro rod/"))}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ro", "rod/f"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	for _, name := range []string{safetyMarker, ReadmeName} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !os.IsNotExist(err) {
			t.Errorf("%s is in the snapshot", name)
		}
	}
}

const safetyMarker = ".alca-mount"

func TestSnapshotThatFailsLeavesTheDirectoryEmpty(t *testing.T) {
	w := newWorld(t, "a", "d/b")
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Snapshot(ctx, w.project, dir, Options{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
	if _, err := Snapshot(ctx, w.project, filepath.Join(dir, "new", "deep"), Options{}); err == nil {
		t.Fatal("no error")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
	if _, err := Snapshot(t.Context(), w.project, filepath.Join(w.project, "in"), Options{}); !errors.As(err, new(*safety.RootsError)) {
		t.Errorf("into the project: %v", err)
	}
}

// Files that are hidden, and names derived of them, are replaced and renamed all the while; visible ones change as well.
func TestSnapshotHoldsNothingHiddenWhileFilesChange(t *testing.T) {
	w := newWorld(t, ".env = SECRET", "vis = 0000000000", "d/.env = SECRET", "d/f = x")
	opts := TarOptions{Options: Options{Policy: policyOf(t, rules(".env", ""))}}
	stop, all := make(chan struct{}), sync.WaitGroup{}
	all.Go(func() {
		at := func(name string) string { return filepath.Join(w.project, name) }
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.WriteFile(at(".env.tmp1"), []byte("SECRET"), 0o600)
			_ = os.Rename(at(".env.tmp1"), at(".env"))
			_ = os.WriteFile(at("d/.env~"), []byte("SECRET"), 0o600)
			_ = os.WriteFile(at("vis"), bytes.Repeat([]byte{'a' + byte(n%26)}, 10+n%5000), 0o600)
			_ = os.Remove(at("d/f"))
			_ = os.WriteFile(at("d/f"), []byte("x"), 0o600)
		}
	})
	for range 30 {
		data := w.tar(opts)
		names, _ := tarNames(t, data)
		if bytes.Contains(data, []byte("SECRET")) || !slices.Contains(names, "vis") {
			t.Errorf("a tar with %q", names)
		}
	}
	close(stop)
	all.Wait()
}
