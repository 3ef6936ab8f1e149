//go:build linux

package namespace

import (
	"math"
	"testing"
)

// Each id is mapped once, each is somebody's, and only the two are exchanged.
func TestSwappedExchangesTwoAndKeepsTheOthers(t *testing.T) {
	for _, id := range []int{0, 1, 2, 1000, math.MaxUint32 - 1} {
		list := swapped(id)
		next := 0
		for _, m := range list {
			if m.ContainerID != next {
				t.Errorf("%d: after %d comes %+v", id, next, m)
			}
			next += m.Size
			want := m.ContainerID
			switch want {
			case 0:
				want = id
			case id:
				want = 0
			}
			if m.HostID != want {
				t.Errorf("%d: %+v, want %d", id, m, want)
			}
		}
		if next != math.MaxUint32 {
			t.Errorf("%d: %d ids are mapped", id, next)
		}
	}
}
