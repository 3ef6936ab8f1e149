package container

import (
	"slices"
	"strconv"
	"strings"
)

// MayLackHome reports whether an image may have no home for a user: one who is a number, not root, where env, the image's
// environment, says none. uid is that number.
func MayLackHome(env []string, user string) (uid int, may bool) {
	uid, _, numeric := numbers(user)
	set := slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "HOME=") })
	return uid, numeric && uid != 0 && !set
}

// HasHome reports whether a list of users, in the form of /etc/passwd, has a home for a uid.
func HasHome(passwd []byte, uid int) bool {
	for line := range strings.Lines(string(passwd)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) > 5 && fields[2] == strconv.Itoa(uid) && fields[5] != "" {
			return true
		}
	}
	return false
}
