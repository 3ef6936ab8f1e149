package preflight

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// Finding is a file that looks like a secret.
type Finding struct {
	Path safety.RelPath
	Why  string
}

// Limits bound a scan. The zero value means none of a kind.
type Limits struct {
	Files int           // whose content is looked at
	Bytes int64         // of content, in all
	Time  time.Duration // after which names alone count
}

// DefaultLimits keep a look at contents within about a second.
func DefaultLimits() Limits { return Limits{Files: 20_000, Bytes: 24 << 20, Time: time.Second} }

// most is how much of one file is looked at: what is longer is data or made by a machine.
const most = 256 << 10

// Scan looks for likely secrets among the files for which visible holds, sorted by path: by their names, and as far as
// the limits go by what they hold. cut says that the limits ended it early. Links are not followed, and what can't be
// read is passed over: CMD will not read it either.
func Scan(ctx context.Context, root *safety.Root, visible func(path string, isDir bool) bool, limits Limits) (found []Finding, cut bool, err error) {
	look, err := newReader()
	if err != nil {
		return nil, false, err
	}
	s := &scan{ctx: ctx, visible: visible, limits: limits, why: look.why, began: time.Now()}
	d, err := root.OpenDir(safety.Top)
	if err != nil {
		return nil, false, fmt.Errorf("look for secrets: %w", err)
	}
	defer d.Close()
	if err = s.dir(d, safety.Top); err != nil {
		return nil, false, fmt.Errorf("look for secrets: %w", err)
	}
	return s.sorted(), s.cut, nil
}

// Names looks for likely secrets among the files of root by their names, and reads only what a name makes suspect.
// Findings are sorted by path.
func Names(ctx context.Context, root *safety.Root, files iter.Seq2[safety.RelPath, string]) ([]Finding, error) {
	b := newBook()
	q := newQuick(b.names)
	s := &scan{ctx: ctx, why: b.byName, began: time.Now()}
	for dir, name := range files {
		if !q.fits(name) {
			continue
		}
		p, err := dir.Join(name), ctx.Err()
		if err == nil {
			err = s.judge(p, func() (*os.File, safety.Info, error) { return root.Open(p) })
		}
		if err != nil {
			return nil, fmt.Errorf("look for secrets: %w", err)
		}
	}
	return s.sorted(), nil
}

func (s *scan) sorted() []Finding {
	slices.SortFunc(s.found, func(a, b Finding) int { return strings.Compare(string(a.Path), string(b.Path)) })
	return s.found
}

type scan struct {
	ctx     context.Context
	visible func(string, bool) bool
	limits  Limits
	why     func(path string, content func() []byte) string
	began   time.Time
	files   int
	bytes   int64
	cut     bool
	found   []Finding
}

func (s *scan) dir(d *safety.Dir, at safety.RelPath) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	entries, err := d.ReadDir()
	if err != nil {
		return passOver(err)
	}
	for _, e := range entries {
		p := at.Join(e.Name)
		if !s.visible(string(p), e.Kind == safety.Directory) {
			continue
		}
		switch e.Kind {
		case safety.Directory:
			err = s.below(d, e.Name, p)
		case safety.File:
			err = s.file(d, e.Name, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) below(d *safety.Dir, name string, p safety.RelPath) error {
	sub, err := d.OpenDir(name)
	if err != nil {
		return passOver(err)
	}
	defer sub.Close()
	return s.dir(sub, p)
}

func (s *scan) file(d *safety.Dir, name string, p safety.RelPath) error {
	return s.judge(p, func() (*os.File, safety.Info, error) { return d.Open(name) })
}

// judge notes a file that looks like a secret.
func (s *scan) judge(p safety.RelPath, open func() (*os.File, safety.Info, error)) error {
	var failed error
	content := sync.OnceValue(func() []byte {
		var c []byte
		c, failed = s.content(open)
		return c
	})
	why := s.why(string(p), content)
	if why != "" {
		s.found = append(s.found, Finding{p, why})
	}
	return passOver(failed)
}

// content is the beginning of a file; nothing once the limits are reached.
func (s *scan) content(open func() (*os.File, safety.Info, error)) ([]byte, error) {
	l := s.limits
	if l.Files > 0 && s.files >= l.Files || l.Bytes > 0 && s.bytes >= l.Bytes || l.Time > 0 && time.Since(s.began) > l.Time {
		s.cut = true
		return nil, nil
	}
	f, info, err := open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size > most {
		return nil, nil
	}
	content, err := io.ReadAll(io.LimitReader(f, most))
	s.files++
	s.bytes += int64(len(content))
	return content, err
}

// passOver drops the errors of entries that went, changed or can't be read.
func passOver(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, safety.ErrChanged) || errors.Is(err, safety.ErrNotRegular) {
		return nil
	}
	return err
}
