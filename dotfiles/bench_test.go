package dotfiles

import (
	"fmt"
	"testing"
)

// twentyRules is a policy as a careful project has it.
func twentyRules(fold bool) Rules {
	return Rules{
		Hidden:   fileRules(ignoreName, ".env", ".env.*", "!.env.example", "*.pem", "*.key", "secrets/", "/config/prod.yaml", "**/credentials.json", "id_rsa*", "*.p12", ".aws/", "/terraform/**/*.tfstate"),
		ReadOnly: fileRules(readOnlyName, "/docs/", "*.lock", "Makefile", "/.github/", "LICENSE", "api/*.proto"),
		Excludes: flagRules("--exclude", "*.iso", "/tmp/"),
		FoldCase: fold,
	}
}

var walked = []struct {
	dir, name string
	isDir     bool
}{
	{"src/components/button", "Button.tsx", false}, {"src", "components", true}, {"internal/server/handlers", "login_test.go", false},
	{".", "README.md", false}, {"terraform/env/eu", "main.tf", false}, {"api", "user.proto", false}, {"pkg/apis/core/v1", ".helmignore", false}, {"a/b", ".gitignore", false},
}

func BenchmarkAccessBelow(b *testing.B) {
	for _, fold := range []bool{false, true} {
		p := newPolicy(b, twentyRules(fold))
		b.Run(fmt.Sprintf("fold=%v", fold), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				e := walked[i%len(walked)]
				p.AccessBelow(e.dir, Writable, e.name, e.isDir)
			}
		})
	}
}

func TestAccessBelowDoesNotAllocate(t *testing.T) {
	p := newPolicy(t, twentyRules(true))
	for name := range builtinList(true) {
		if len(name) > longestBuiltin {
			t.Errorf("%s is longer than longestBuiltin", name)
		}
	}
	for _, e := range walked {
		if n := testing.AllocsPerRun(100, func() { p.AccessBelow(e.dir, Writable, e.name, e.isDir) }); n > 0 {
			t.Errorf("%s/%s: %v allocations", e.dir, e.name, n)
		}
	}
}
