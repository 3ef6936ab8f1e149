//go:build !linux

package mirror

func spread(string) {}
