package mirror

import (
	"strings"
	"unicode/utf8"

	"github.com/alca-mount/alca-mount/dotfiles"
)

// readmeText tells an agent in plain words what it may do. It names the read-only rules, and never what is hidden.
func readmeText(agent string, readOnly []dotfiles.Rule, links Links) string {
	var b strings.Builder
	b.WriteString(`# This directory is a mirror

It is a copy of a project, made by alca-mount for this session. Work in it as in any project.

- What you change, add or delete here is brought to the project: while you work or when you are done.
- Parts of the project may be left out on purpose. A missing file is not an error to mend: do not make a substitute
  for it, and do not look for it elsewhere. What you make at such a place stays out of the project.
- Read-only files are there to be read. A change of one is undone here and never reaches the project.
- When you and the user change the same file, yours wins and theirs is kept beside the session for them.
- Dependencies, caches and build results are not mirrored; what you build here stays here.
- This file and .alca-mount belong to the mirror, not to the project.
`)
	if links == SkipLinks {
		b.WriteString("- Symbolic links are left out of this mirror.\n")
	}
	b.WriteString("\n## Read-only\n\n")
	writeRules(&b, readOnly)
	if agent != "" {
		b.WriteString("\nAgent: " + printable(agent) + "\n")
	}
	return b.String()
}

func writeRules(b *strings.Builder, rules []dotfiles.Rule) {
	if len(rules) == 0 {
		b.WriteString("Only the rule files themselves.\n")
		return
	}
	b.WriteString("The rule files themselves, and what these patterns match (gitignore syntax, the last match decides):\n\n")
	for _, r := range rules {
		b.WriteString("    " + printable(r.Pattern) + "\n")
	}
}

// printable keeps text that came from outside from becoming lines or terminal controls of the README.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError || (r >= 0x80 && r < 0xa0) {
			return '?'
		}
		return r
	}, s)
}
