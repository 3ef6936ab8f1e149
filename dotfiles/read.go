package dotfiles

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/dotfiles/internal/gitignore"
)

const (
	ignoreName   = ".agentignore"
	readOnlyName = ".agentreadonly"
	configName   = ".alca.toml"
)

// maxRuleFile is the size in bytes above which a rule file is refused; no list of patterns comes near it.
const maxRuleFile = 16 << 20

// Read reads the rule files at the top of projectDir: .agentignore and .agentreadonly, then .AGENT.agentignore and
// .AGENT.agentreadonly (agent "" adds none). A missing file is no rules; an unreadable or non-regular one is an error.
func Read(projectDir, agent string) (*Policy, error) {
	rules, err := ReadRules(projectDir, agent)
	if err != nil {
		return nil, err
	}
	return New(rules)
}

// ReadRules reads what Read reads and returns the rules instead, for adding to them before New.
// FoldCase is set as [Folds] finds projectDir.
func ReadRules(projectDir, agent string) (Rules, error) {
	if agent != "" && !ValidAgent(agent) {
		return Rules{}, fmt.Errorf("agent name %q: only letters, digits, _ and - may stand in it", agent)
	}
	// Without this, a project that is not there would be a project without rules.
	folds, err := Folds(projectDir)
	if err != nil {
		return Rules{}, err
	}
	rules := Rules{FoldCase: folds}
	for _, name := range ruleFiles(agent) {
		list := &rules.Hidden
		if strings.HasSuffix(name, readOnlyName) {
			list = &rules.ReadOnly
		}
		more, err := readRuleFile(projectDir, name)
		if err != nil {
			return Rules{}, err
		}
		*list = append(*list, more...)
	}
	return rules, nil
}

// IsRuleFile reports whether a name at a project's top is that of a rule file that applies for an agent.
func IsRuleFile(name, agent string) bool { return slices.Contains(ruleFiles(agent), name) }

// ruleFiles are the names that apply for an agent, in the order in which they apply.
func ruleFiles(agent string) []string {
	names := []string{ignoreName, readOnlyName}
	if agent != "" {
		names = append(names, "."+agent+ignoreName, "."+agent+readOnlyName)
	}
	return names
}

func readRuleFile(dir, name string) ([]Rule, error) {
	content, err := readRegular(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("rule file %w", err)
	}
	var rules []Rule
	for i, line := range gitignore.Lines(content) {
		if _, err := gitignore.Parse(line, false); errors.Is(err, gitignore.ErrBlank) {
			continue
		}
		rules = append(rules, Rule{Pattern: gitignore.Trim(line), Source: name, Line: i + 1})
	}
	return rules, nil
}

var errNotRegular = errors.New("not a regular file")

// readRegular reads a file that must be a regular one: a link could be pointed elsewhere between two sessions, and a
// FIFO would block.
func readRegular(path string) (string, error) {
	seen, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if !seen.Mode().IsRegular() {
		return "", fmt.Errorf("%s: %w", path, errNotRegular)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|openNoFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s: gone while it was opened", path) // it was there: not the same as no rules
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	// RACE: the name may have been given to another file since the Lstat; what was opened is looked at again.
	opened, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !opened.Mode().IsRegular() {
		return "", fmt.Errorf("%s: %w", path, errNotRegular)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxRuleFile+1))
	if err != nil {
		return "", err
	}
	if len(content) > maxRuleFile {
		return "", fmt.Errorf("%s: larger than %d MiB", path, maxRuleFile>>20)
	}
	return string(content), nil
}

// ValidAgent reports whether name may stand in the name of a per-agent rule file: ^[A-Za-z0-9_-]+$.
func ValidAgent(name string) bool {
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return name != ""
}

// Unapplied lists the names of rule files that lie at the top of projectDir and do not apply for agent: those of
// other agents, and names that differ from a rule file's in case only. Sorted; nil also where projectDir is unreadable.
func Unapplied(projectDir, agent string) []string {
	applied := ruleFiles(agent)
	return namesIn(projectDir, func(name string) bool { return isRuleFile(name) && !slices.Contains(applied, name) })
}

// Foreign lists the ignore files of other tools that lie at the top of projectDir. They are not obeyed. Sorted.
func Foreign(projectDir string) []string {
	foreign := []string{".aiignore", ".aiexclude", ".cursorignore", ".codeiumignore", ".geminiignore", ".aiderignore", ".clineignore", ".rooignore"}
	return namesIn(projectDir, func(name string) bool { return slices.Contains(foreign, name) })
}

func namesIn(dir string, wanted func(string) bool) []string {
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if wanted(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// Literal returns the pattern for Rules that matches exactly the entry at rel, whatever characters its name has.
func Literal(rel string) string { return gitignore.Quote(rel) }
