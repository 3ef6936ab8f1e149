//go:build !linux

package safety

// KernelFS names the file system of dir where its files are the kernel's own; only Linux has such that are refused.
func KernelFS(string) string { return "" }
