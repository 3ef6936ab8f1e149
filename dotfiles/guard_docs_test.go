package dotfiles

import (
	"os"
	"strings"
	"testing"
)

// The documentation lists the guarded patterns, all of them and no others, in their order.
func TestGuardedDefaultIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Guarded paths\n")
	_, block, _ := strings.Cut(section, "```gitignore\n")
	block, _, _ = strings.Cut(block, "```")
	var want strings.Builder
	for _, r := range GuardedDefault() {
		want.WriteString(r.Pattern + "\n")
	}
	if block != want.String() {
		t.Errorf("docs/config.md lists\n%swant\n%s", block, want.String())
	}
}
