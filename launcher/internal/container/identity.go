package container

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/alca-mount/alca-mount/launcher/internal/docker"
)

// Identity is whom a command runs as inside, and how users inside are those outside.
type Identity struct {
	User string // as the engine takes it: a name of the image, or UID[:GID]
	NS   string // the user namespace's mode; "": the engine's default
	Note string // what is not as one would expect
}

// Owner is whom the files outside belong to.
type Owner struct{ UID, GID int }

// Numbers are the uid and gid, where they are numbers and the same outside.
func (id Identity) Numbers() (uid, gid int, ok bool) {
	if strings.HasPrefix(id.NS, "keep-id") {
		return 0, 0, false
	}
	return numbers(id.User)
}

// IdentityOf decides. Without a wish the command is whoever owns the files, by number: what it makes is theirs, what they
// have it can write.
func IdentityOf(goos string, k Kind, f docker.Facts, wish string, o Owner) (Identity, error) {
	owner := fmt.Sprintf("%d:%d", o.UID, o.GID)
	switch {
	case k == PodmanRootless:
		return rootlessIdentity(f, wish, o)
	case k == DockerRootless, goos == "linux" && k == DockerDesktop:
		// Inside, root is us; others are nobody's outside.
		if wish == "" || isRoot(wish) {
			return Identity{User: "0:0"}, nil
		}
		return Identity{User: wish, Note: foreign(wish)}, nil
	}
	id := Identity{User: wish}
	if wish == "" {
		id.User = owner
	}
	if f.UserNamespace {
		id.NS = "host" // else uids inside would be others outside
	}
	uid, _, numeric := numbers(id.User)
	if goos == "linux" && (!numeric || uid != o.UID) {
		id.Note = foreign(wish)
	}
	return id, nil
}

// rootlessIdentity maps our own user onto the one inside. Root inside is us already.
func rootlessIdentity(f docker.Facts, wish string, o Owner) (Identity, error) {
	if wish == "" {
		return Identity{User: fmt.Sprintf("%d:%d", o.UID, o.GID), NS: "keep-id"}, nil
	}
	if isRoot(wish) {
		return Identity{User: wish}, nil
	}
	uid, gid, numeric := numbers(wish)
	if numeric && uid == o.UID {
		return Identity{User: wish, NS: "keep-id"}, nil
	}
	if !numeric {
		return Identity{User: wish, NS: "keep-id", Note: foreign(wish)}, nil
	}
	if !atLeast(f.Version, 4, 3) {
		return Identity{}, fmt.Errorf("user %q: Podman %s can't map you onto it; expected Podman 4.3 or newer, or no user", wish, f.Version)
	}
	return Identity{User: fmt.Sprintf("%d:%d", uid, gid), NS: fmt.Sprintf("keep-id:uid=%d,gid=%d", uid, gid)}, nil
}

func foreign(user string) string {
	return fmt.Sprintf("user %q may be another than the files' owner outside: files may not be writable inside, and new ones not yours", user)
}

func isRoot(user string) bool {
	name, _, _ := strings.Cut(user, ":")
	return name == "root" || name == "0"
}

// numbers reads UID[:GID]; without a GID the UID is it.
func numbers(user string) (uid, gid int, ok bool) {
	u, g, hasGID := strings.Cut(user, ":")
	uid, err := strconv.Atoi(u)
	if err != nil || uid < 0 {
		return 0, 0, false
	}
	if !hasGID {
		return uid, uid, true
	}
	gid, err = strconv.Atoi(g)
	return uid, gid, err == nil && gid >= 0
}

// atLeast compares the first two numbers of a version. One that can't be read is not.
func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, err1 := strconv.Atoi(parts[0])
	b, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (a > major || a == major && b >= minor)
}

// networkOf is the network that is meant: the engine's own where none was asked for. Podman without root takes a bridge for
// its compatible API, which needs more of the system than what its command takes.
func networkOf(k Kind, f docker.Facts, wish string) string {
	switch {
	case wish != "" || k != PodmanRootless:
		return wish
	case atLeast(f.Version, 5, 0):
		return "pasta"
	}
	return "slirp4netns"
}
