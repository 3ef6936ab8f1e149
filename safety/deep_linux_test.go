package safety

import (
	"errors"
	"strings"
	"testing"
)

func TestATreeThatIsTooDeepIsNotFollowed(t *testing.T) {
	r, err := OpenRoot(t.TempDir())
	must(t, err)
	defer r.Close()
	name := strings.Repeat("d", 255)
	deepest := strings.Repeat(name+"/", MaxDirPath/256-1) + name
	must(t, r.MkdirAll(RelPath(deepest), 0o755))
	d, err := r.OpenDir(RelPath(deepest))
	must(t, err)
	d.Close()
	deeper := RelPath(deepest).Join(name)
	must(t, r.Mkdir(deeper, 0o755))
	if _, err := r.OpenDir(deeper); !errors.Is(err, ErrTooDeep) || len(err.Error()) > 300 {
		t.Errorf("a directory with a path of %d bytes: %v", len(deeper), err)
	}
}
