package gitrepo

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxIncludes is how deep config files may include one another, as in git.
const maxIncludes = 10

// effectiveConfig is the system's, the user's and the repository's settings with what they include.
// It decides only what is listed; nothing of it but the repository's own settings reaches a mirror.
func (r *repo) effectiveConfig() (config, error) {
	files := []string{cmp.Or(os.Getenv("GIT_CONFIG_SYSTEM"), "/etc/gitconfig")}
	if isTrue(os.Getenv("GIT_CONFIG_NOSYSTEM")) {
		files = nil
	}
	if global, ok := os.LookupEnv("GIT_CONFIG_GLOBAL"); ok {
		files = append(files, global)
	} else {
		files = append(files, filepath.Join(xdgConfigHome(), "git", "config"), expandHome("~/.gitconfig"))
	}
	var all config
	for _, f := range files {
		c, err := r.readUserConfig(f, 0)
		if err != nil {
			return nil, err
		}
		all = append(all, c...)
	}
	own, err := r.withIncludes(r.config, r.common.Path(), 0)
	return append(all, own...), err
}

// readUserConfig reads one file and what it includes.
func (r *repo) readUserConfig(file string, depth int) (config, error) {
	if file == "" {
		return nil, nil
	}
	data, err := readUserFile(file)
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", file, err)
	}
	return r.withIncludes(c, filepath.Dir(file), depth)
}

// withIncludes puts the settings of included files where they are included; dir is that of the including file.
func (r *repo) withIncludes(c config, dir string, depth int) (config, error) {
	var out config
	for _, e := range c {
		out = append(out, e)
		if e.key != "path" || !r.includes(e, dir) {
			continue
		}
		if depth == maxIncludes {
			return nil, fmt.Errorf("%s: config files include one another", e.value)
		}
		file := expandHome(e.value)
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		more, err := r.readUserConfig(file, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// includes decides the conditions on the git directory; those on branches and remotes count as not met.
func (r *repo) includes(e setting, dir string) bool {
	if e.section == "include" && e.subsection == "" {
		return true
	}
	kind, pattern, _ := strings.Cut(e.subsection, ":")
	if e.section != "includeif" || (kind != "gitdir" && kind != "gitdir/i") {
		return false
	}
	pattern = filepath.ToSlash(expandHome(pattern))
	if rest, ok := strings.CutPrefix(pattern, "./"); ok {
		pattern = filepath.ToSlash(dir) + "/" + rest
	}
	if strings.HasSuffix(pattern, "/") {
		pattern += "**"
	}
	gitDir := filepath.ToSlash(r.git.Path())
	if kind == "gitdir/i" {
		pattern, gitDir = strings.ToLower(pattern), strings.ToLower(gitDir)
	}
	if !filepath.IsAbs(pattern) {
		pattern = "**/" + pattern
	}
	// The same wildcards as an anchored ignore pattern has.
	met, _ := parsePatterns([]byte(pattern), e.subsection).Match(strings.TrimPrefix(gitDir, "/"), true)
	return met
}
