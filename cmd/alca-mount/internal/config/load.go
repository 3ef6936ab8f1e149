package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
)

const (
	// maxFile is the size in bytes above which a file is refused; no configuration comes near it.
	maxFile = 1 << 20
	// maxDepth is how many files may go on from one another.
	maxDepth = 16
	// maxFiles is how many files may be read in all: a few that include each other twice would be many.
	maxFiles = 64
)

// Layer is whose word a file is.
type Layer int

// The layers, the later over the earlier.
const (
	User Layer = iota + 1
	Project
)

func (l Layer) String() string {
	if l == User {
		return "user"
	}
	return "project"
}

// Options say what is read.
type Options struct {
	Project string // real path; its .alca.toml need not be there
	User    string // the user's file; "": none; it need not be there
	State   string // the state directory, which no mount may show
	Home    string // what ~ stands for
	Getenv  func(string) (string, bool)
}

// File is a file that was read.
type File struct {
	Path   string // real path
	Shown  string // relative to the project if it lies in it
	Rel    string // slash-separated, in the project; "": it lies outside
	Layer  Layer
	Sum    string // SHA-256 of its content, in hex
	parent Pos    // where it is extended or included
}

// Merged is what all files say together.
type Merged struct {
	Config  Config
	Files   []File // each once, in the order in which they were read
	Project string

	root, user, project *node
	own                 []string // real paths of directories that no mount may show
}

// Load reads both layers. What is wrong in the files is returned as [Errors], all of it at once where possible.
func Load(opts Options) (*Merged, error) {
	l := &loader{opts: opts}
	m := &Merged{Project: opts.Project}
	if opts.State != "" {
		m.own = append(m.own, real(opts.State))
	}
	if opts.User != "" {
		m.own = append(m.own, real(filepath.Dir(opts.User)))
		m.user = l.top(opts.User, User)
	}
	m.project = l.top(filepath.Join(opts.Project, ProjectFile), Project)
	m.Files = l.files
	m.root = merge(m.user, m.project)
	if m.root == nil {
		m.root = newTable(Pos{})
	}
	if len(l.errs) == 0 {
		g := grammar()
		bind(m.root, &g, reflect.ValueOf(&m.Config).Elem())
		l.errs = m.validate()
	}
	if len(l.errs) > 0 {
		return nil, l.errs.inOrder()
	}
	m.addWorkdir()
	return m, nil
}

// real is path without links, as far as it is there.
func real(path string) string {
	if r, err := filepath.EvalSymlinks(path); err == nil {
		return r
	}
	return filepath.Clean(path)
}

type loader struct {
	opts  Options
	files []File
	chain []string // real paths of the files that are being read
	errs  Errors
	read  int
}

// top reads the first file of a layer; nil if there is none.
func (l *loader) top(path string, layer Layer) *node {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return l.file(path, layer, Pos{}, "")
}

// file reads a file and those that it extends and includes. from and key are what names it.
func (l *loader) file(path string, layer Layer, from Pos, key string) *node {
	data, file, err := l.open(path, layer)
	if from.File == "" {
		from.File = file.Shown
	}
	if err != nil {
		l.errs.add(from, key, "%s", err)
		return nil
	}
	if l.read++; slices.Contains(l.chain, file.Path) || len(l.chain) == maxDepth || l.read > maxFiles {
		l.errs.add(from, key, "%s: %s", file.Shown, l.tooMany(file))
		return nil
	}
	if !slices.ContainsFunc(l.files, func(f File) bool { return f.Path == file.Path && f.Layer == layer }) {
		file.parent = from
		l.files = append(l.files, file)
	}
	l.chain = append(l.chain, file.Path)
	defer func() { l.chain = l.chain[:len(l.chain)-1] }()
	own, errs := decode(data, file.Shown)
	if len(errs) == 0 {
		c := &checker{
			grammar: grammar(), dir: filepath.Dir(file.Path), layer: layer,
			env: surroundings{home: l.opts.Home, getenv: l.opts.Getenv},
		}
		c.table(own, &c.grammar, "")
		errs = c.errs
	}
	if len(errs) > 0 {
		l.errs = append(l.errs, errs...)
		return nil
	}
	return l.around(own, layer)
}

func (l *loader) tooMany(file File) string {
	switch {
	case slices.Contains(l.chain, file.Path):
		return "it goes on from itself by way of others: expected no circle"
	case len(l.chain) == maxDepth:
		return fmt.Sprintf("%d files that go on from one another: expected fewer", maxDepth)
	}
	return fmt.Sprintf("more than %d files are read: expected fewer", maxFiles)
}

// around merges a file with those that it extends, below it, and those that it includes, above it.
func (l *loader) around(own *node, layer Layer) *node {
	var all *node
	for i, e := range elems(own, "extends") {
		all = merge(all, l.file(e.value.(string), layer, e.pos, indexed("extends", i)))
	}
	all = merge(all, own)
	for i, e := range elems(own, "includes") {
		all = merge(all, l.file(e.value.(string), layer, e.pos, indexed("includes", i)))
	}
	return all
}

func elems(n *node, key string) []*node {
	if n = n.at(key); n == nil {
		return nil
	}
	return n.elems
}

// open reads a file whole.
//
// In the project, no name on the way may be a link: the agent may change links, so that a file which is write-protected
// under its own name could be swapped for another. Outside, links are the user's own affair.
func (l *loader) open(path string, layer Layer) ([]byte, File, error) {
	file := File{Path: path, Shown: path, Layer: layer}
	rel, inside := within(l.opts.Project, path)
	if inside {
		file.Shown = rel
	}
	var f *os.File
	var err error
	if inside {
		f, path, err = openInside(l.opts.Project, rel)
	} else {
		f, path, err = openOutside(path)
	}
	if err != nil {
		return nil, file, readError(file.Shown, err)
	}
	defer f.Close()
	file.Path = path
	if rel, inside := within(l.opts.Project, path); inside {
		file.Rel, file.Shown = rel, rel
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, file, readError(file.Shown, err)
	}
	if len(data) > maxFile {
		return nil, file, fmt.Errorf("%s: larger than %d MiB: expected a configuration", file.Shown, maxFile>>20)
	}
	sum := sha256.Sum256(data)
	file.Sum = hex.EncodeToString(sum[:])
	return data, file, nil
}

func readError(shown string, err error) error {
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: no such file: expected a configuration there", shown)
	case errors.As(err, &pe):
		err = pe.Err
	}
	return fmt.Errorf("%s: %w: expected a readable regular file, without links on the way", shown, err)
}

func openInside(project, rel string) (*os.File, string, error) {
	root, err := safety.OpenRoot(project)
	if err != nil {
		return nil, "", err
	}
	defer root.Close()
	p, err := safety.ParseRelPath(rel)
	if err != nil {
		return nil, "", err
	}
	f, _, err := root.Open(p)
	return f, filepath.Join(project, filepath.FromSlash(rel)), err
}

func openOutside(path string) (*os.File, string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, "", err
	}
	info, err := os.Stat(real)
	if err == nil && !info.Mode().IsRegular() {
		err = safety.ErrNotRegular
	}
	if err != nil {
		return nil, "", err
	}
	f, err := os.Open(real)
	return f, real, err
}

// within returns path relative to dir, slash-separated, if it lies below it. Both are clean.
func within(dir, path string) (string, bool) {
	rel, err := filepath.Rel(dir, path)
	if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}
