package mirror

import (
	"slices"
	"testing"

	"github.com/alca-mount/alca-mount/safety"
)

func TestReadOnlyListsLinks(t *testing.T) {
	w := newWorld(t, "a.txt = 1", "l.lock -> a.txt")
	got := w.create(Options{Policy: policyOf(t, rules("", "*.lock"))}).ReadOnly()
	if want := []ReadOnly{{"l.lock", safety.Symlink}}; !slices.Equal(got, want) {
		t.Errorf("%v, expected %v", got, want)
	}
}

func TestReadOnlyListsWhatRulesSay(t *testing.T) {
	w := newWorld(t, "a.txt = 1", "b.lock = 1", "d-e/x.lock = 1", "d/f.lock = 1", "d/sub/g.txt = 1", "e/h.lock = 1", "e/i.txt = 1",
		"l.lock -> a.txt", "to -> e/i.txt")
	m := w.create(Options{Policy: policyOf(t, rules("", "*.lock d/ d-e/")), Links: FollowLinks})
	want := []ReadOnly{{"b.lock", safety.File}, {"d", safety.Directory}, {"d-e", safety.Directory}, {"e/h.lock", safety.File}, {"l.lock", safety.File}}
	if got := m.ReadOnly(); !slices.Equal(got, want) {
		t.Errorf("after the build %v, expected %v", got, want)
	}
	e := m.Base.Get("a.txt")
	m.Base.Put("e/new.lock", e)
	want = slices.Insert(want, 4, ReadOnly{"e/new.lock", safety.File})
	if got := m.ReadOnly(); !slices.Equal(got, want) {
		t.Errorf("after another came %v, expected %v", got, want)
	}
}
