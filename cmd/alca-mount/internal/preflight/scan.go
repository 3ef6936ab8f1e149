package preflight

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	Names bool          // go by names, and read only what a name makes suspect
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
	look, err := newReader(!limits.Names)
	if err != nil {
		return nil, false, err
	}
	s := &scan{ctx: ctx, visible: visible, limits: limits, look: look, began: time.Now()}
	d, err := root.OpenDir(safety.Top)
	if err != nil {
		return nil, false, fmt.Errorf("look for secrets: %w", err)
	}
	defer d.Close()
	if err = s.dir(d, safety.Top); err != nil {
		return nil, false, fmt.Errorf("look for secrets: %w", err)
	}
	slices.SortFunc(s.found, func(a, b Finding) int { return strings.Compare(string(a.Path), string(b.Path)) })
	return s.found, s.cut, nil
}

type scan struct {
	ctx     context.Context
	visible func(string, bool) bool
	limits  Limits
	look    *reader
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
	var failed error
	content := sync.OnceValue(func() []byte {
		var c []byte
		c, failed = s.content(d, name)
		return c
	})
	why := s.look.why(string(p), content)
	if why != "" {
		s.found = append(s.found, Finding{p, why})
	}
	return passOver(failed)
}

// content is the beginning of a file; nothing once the limits are reached.
func (s *scan) content(d *safety.Dir, name string) ([]byte, error) {
	l := s.limits
	if l.Files > 0 && s.files >= l.Files || l.Bytes > 0 && s.bytes >= l.Bytes || l.Time > 0 && time.Since(s.began) > l.Time {
		s.cut = true
		return nil, nil
	}
	f, info, err := d.Open(name)
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
