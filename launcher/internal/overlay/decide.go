package overlay

import (
	"path"
	"slices"

	"github.com/alca-mount/alca-mount/safety"
)

// Step is what becomes of an overlay before CMD starts.
type Step uint8

// The steps.
const (
	Use     Step = iota // as it is
	SeedNow             // there is none yet
	Rerun               // it is stale: seeded anew
	Warn                // it is stale: used, and told
	Fail                // it is stale: nothing starts
)

// Decide says what becomes of an overlay. have is the digest that it was seeded for ("": there is none), want that of
// now, onStale what the configuration says.
func Decide(have, want, onStale string) Step {
	switch {
	case have == "":
		return SeedNow
	case have == want:
		return Use
	case onStale == "rerun":
		return Rerun
	case onStale == "fail":
		return Fail
	}
	return Warn
}

// Found is a directory that a tool's file stands for.
type Found struct {
	Path safety.RelPath
	Lock []safety.RelPath
}

// tool is what a manifest says of the directories beside it.
type tool struct {
	manifests, dirs, locks []string
}

func tools() []tool {
	return []tool{
		{[]string{"package.json"}, []string{"node_modules"}, []string{"bun.lock", "npm-shrinkwrap.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock"}},
		{[]string{"pyproject.toml", "requirements.txt", "uv.lock"}, []string{".venv"}, []string{"pdm.lock", "poetry.lock", "requirements.txt", "uv.lock"}},
		{[]string{"Cargo.toml"}, []string{"target"}, []string{"Cargo.lock"}},
		{[]string{"composer.json"}, []string{"vendor"}, []string{"composer.lock"}},
		{[]string{"Gemfile"}, []string{"vendor/bundle"}, []string{"Gemfile.lock"}},
		{[]string{"build.gradle", "build.gradle.kts"}, []string{".gradle", "build"}, []string{"gradle.lockfile"}},
	}
}

// Recognize finds the directories that the files of a tree stand for, sorted, each once.
func Recognize(files []safety.RelPath) []Found {
	var out []Found
	for _, f := range files {
		for _, t := range tools() {
			if !slices.Contains(t.manifests, path.Base(string(f))) {
				continue
			}
			for _, dir := range t.dirs {
				out = append(out, Found{beside(f, dir), locksBeside(f, t.locks)})
			}
		}
	}
	slices.SortFunc(out, func(a, b Found) int { return compare(a.Path, b.Path) })
	return slices.CompactFunc(out, func(a, b Found) bool { return a.Path == b.Path })
}

func compare(a, b safety.RelPath) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func beside(f safety.RelPath, name string) safety.RelPath {
	return safety.RelPath(path.Join(string(f.Dir()), name))
}

func locksBeside(f safety.RelPath, names []string) []safety.RelPath {
	out := make([]safety.RelPath, len(names))
	for i, name := range names {
		out[i] = beside(f, name)
	}
	return out
}

// LocksFor are the lock files that an overlay goes by where none are named.
func LocksFor(p safety.RelPath) []safety.RelPath {
	for _, t := range tools() {
		for _, dir := range t.dirs {
			if string(p) == dir || len(p) > len(dir) && string(p[len(p)-len(dir)-1:]) == "/"+dir {
				return locksBeside(safety.RelPath(path.Join(string(p[:len(p)-len(dir)]), "x")), t.locks)
			}
		}
	}
	return nil
}

// Stale is the text for an overlay that was made for something else than what is there now.
const Stale = "it was made for other lock files than those of now, or for another image, platform or seed"
