package dotfiles

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// SourceDefault is the Rule.Source of all that is built in.
const SourceDefault = "default"

// builtinList is the built-in list of "Rules" in docs/design.md without .git, by name. With fold, names are in lower case.
func builtinList(fold bool) map[string]*builtin {
	list := map[string]*builtin{}
	add := func(names string, topOnly bool) {
		for name := range strings.FieldsSeq(names) {
			b := &builtin{topOnly: topOnly, rule: Rule{Pattern: name, Source: SourceDefault}}
			if topOnly {
				b.rule.Pattern = "/" + name
			}
			if fold {
				name = strings.ToLower(name)
			}
			list[name] = b
		}
	}
	add("node_modules .npm-cache .pnpm-store __pycache__ .pytest_cache .mypy_cache .ruff_cache .gradle .nyc_output .turbo .cache .DS_Store .venv venv", false)
	add("target .next .nuxt dist build out env coverage", true)
	return list
}

// longestBuiltin bounds the length in bytes of the names in the built-in list.
const longestBuiltin = 16

type builtin struct {
	rule    Rule
	topOnly bool
}

// policyFile tells whether name is that of a file that rules are read from, what the agent may then do with it at
// most, and the pattern to name as the reason. It holds in every directory, as an agent could make a subdirectory a
// project of its own by putting rules there, and in any case, as the project may be checked out where case folds.
func policyFile(name string) (Access, string) {
	if name == "" || name[0] != '.' {
		return Writable, ""
	}
	switch {
	case hasSuffixFold(name, ignoreName):
		return Hidden, generic(name, ignoreName)
	case hasSuffixFold(name, readOnlyName):
		return ReadOnly, generic(name, readOnlyName)
	case len(name) == len(configName) && hasSuffixFold(name, configName):
		return ReadOnly, configName
	}
	return Writable, ""
}

// storeName reports whether name is one under which versions are staged and kept inside of a project or at the top of
// its mount, where no place outside will do: ".alca-mount-store", or ".alca-mount-" and a user's number. It is left out
// in every directory, since a mount may lie anywhere in a project, and whatever the rules say: it holds versions of
// hidden files too, and those that the user is to get back.
func storeName(name string) bool {
	rest, ok := strings.CutPrefix(name, storePrefix)
	return ok && (rest == "store" || rest != "" && strings.Trim(rest, "0123456789") == "")
}

const storePrefix = ".alca-mount-"

// unlinkedName is the pattern of the names that a file system gives to what is removed while somebody has it open, if name
// is one (NFS: ".nfs", libfuse: ".fuse_hidden", and hexadecimal digits); else "". Such a file may be any that its owner
// removed, a hidden one too, and it goes by itself.
func unlinkedName(name string) string {
	if len(name) < 16 || name[0] != '.' {
		return ""
	}
	for _, prefix := range [...]string{".nfs", ".fuse_hidden"} {
		digits, ok := strings.CutPrefix(name, prefix)
		if ok && len(digits) >= 16 && strings.Trim(digits, "0123456789abcdef") == "" {
			return prefix + "*"
		}
	}
	return ""
}

func generic(name, suffix string) string {
	if len(name) == len(suffix) {
		return suffix
	}
	return ".*" + suffix
}

func isRuleFile(name string) bool {
	_, pattern := policyFile(name)
	return pattern != "" && pattern != configName
}

// hasSuffixFold compares ASCII letters in either case; suffix is in lower case.
func hasSuffixFold(name, suffix string) bool {
	n := len(name) - len(suffix)
	if n < 0 {
		return false
	}
	for i := 0; i < len(suffix); i++ {
		if lowerASCII(name[n+i]) != suffix[i] {
			return false
		}
	}
	return true
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// isDotGit reports whether name is .git, or a name that some file system takes for it: any case, code points that
// HFS+ ignores, NTFS's short name and what it drops at the end. git refuses the same names in its trees.
func isDotGit(name string) bool {
	if len(name) < len(".git") {
		return false
	}
	switch c := name[0]; {
	case c == '.':
		if c := name[1]; c != 'g' && c != 'G' && c < 0x80 {
			return false
		}
	case c != 'g' && c != 'G' && c < 0x80:
		return false
	}
	return name == ".git" || likeDotGit(name)
}

func likeDotGit(name string) bool {
	name, _, _ = strings.Cut(name, ":")
	name = strings.TrimRight(strings.Map(dropIgnorable, name), ". ")
	return strings.EqualFold(name, ".git") || strings.EqualFold(name, "git~1")
}

// dropIgnorable drops what file systems that fold leave out of a comparison: default-ignorable code points.
func dropIgnorable(r rune) rune {
	if r >= utf8.RuneSelf && unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return -1
	}
	return r
}

// inGit reports whether dir is a .git directory or lies below one.
func inGit(dir string) bool {
	for name := range strings.SplitSeq(dir, "/") {
		if isDotGit(name) {
			return true
		}
	}
	return false
}
