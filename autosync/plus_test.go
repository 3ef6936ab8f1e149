package autosync_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Each list of Changes is either what both did or what is so at the end; one that is added later has to be one of them.
func TestPlusForgetsNothing(t *testing.T) {
	atTheEnd := []string{"Held", "Orphans", "Failed", "NewInExcluded", "PendingDelete"}
	filled := func(p safety.RelPath) (c autosync.Changes) {
		v := reflect.ValueOf(&c).Elem()
		for i := range v.NumField() {
			switch f := v.Field(i).Addr().Interface().(type) {
			case *[]safety.RelPath:
				*f = []safety.RelPath{p}
			case *[]autosync.PathNote:
				*f = []autosync.PathNote{{Path: p}}
			case *[]mirror.BroughtBranch:
				*f = []mirror.BroughtBranch{{Branch: string(p)}}
			case *string:
				*f = string(p)
			default:
				t.Fatalf("%s: what is it?", v.Type().Field(i).Name)
			}
		}
		return c
	}
	first, later := filled("z"), filled("a")
	sum := reflect.ValueOf(first.Plus(later))
	for i := range sum.NumField() {
		name, f := sum.Type().Field(i).Name, sum.Field(i)
		if f.Kind() == reflect.String {
			continue
		}
		want := 2
		if slices.Contains(atTheEnd, name) {
			want = 1
		}
		if f.Len() != want {
			t.Errorf("%s: %v, want %d", name, f.Interface(), want)
		}
	}
	if first.ToProject[0] != "z" || later.ToProject[0] != "a" {
		t.Error("what was added is another")
	}
}

// What still lies in the mirror is noted by every pass, and told once.
func TestPlusTellsOnce(t *testing.T) {
	first := autosync.Changes{Refused: []autosync.PathNote{{Path: "there"}, {Path: "kept", Kept: "k1"}, {Path: "gone"}}}
	later := autosync.Changes{Refused: []autosync.PathNote{{Path: "there", Kept: "k"}, {Path: "kept", Kept: "k2"}}}
	want := []autosync.PathNote{{Path: "gone"}, {Path: "kept", Kept: "k1"}, {Path: "kept", Kept: "k2"}, {Path: "there", Kept: "k"}}
	if got := first.Plus(later).Refused; !slices.Equal(got, want) {
		t.Errorf("refused: %+v", got)
	}
}
