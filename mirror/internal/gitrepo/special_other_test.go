//go:build !unix

package gitrepo

import "testing"

func mkfifo(t testing.TB, p string) {
	t.Helper()
	t.Skip("no FIFOs here")
}
