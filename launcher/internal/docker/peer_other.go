//go:build !linux

package docker

// ownerOfSocket: elsewhere the socket leads into a virtual machine, whatever the user who listens.
func ownerOfSocket(string) (uid int, known bool) { return 0, false }

func hasSELinux() bool { return false }
