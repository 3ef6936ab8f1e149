package container

import "testing"

func TestMayLackHome(t *testing.T) {
	for _, c := range []struct {
		env  []string
		user string
		uid  int
		want bool
	}{
		{nil, "1000:1000", 1000, true},
		{[]string{"PATH=/bin", "HOMER=x"}, "1000", 1000, true},
		{[]string{"HOME=/srv"}, "1000", 1000, false},
		{nil, "0:0", 0, false},
		{nil, "node", 0, false},
	} {
		uid, got := MayLackHome(c.env, c.user)
		if got != c.want || got && uid != c.uid {
			t.Errorf("%q %q: %d, %v", c.env, c.user, uid, got)
		}
	}
}

func TestHasHome(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\nnone:x:7:7:::/bin/sh\nshort:x:8\n"
	for uid, want := range map[int]bool{0: true, 1000: true, 100: false, 7: false, 8: false} {
		if HasHome([]byte(passwd), uid) != want {
			t.Errorf("%d: %v", uid, !want)
		}
	}
	if HasHome(nil, 1000) {
		t.Error("nobody has a home")
	}
}
