package safety

import "testing"

func TestKernelFSIsKnown(t *testing.T) {
	if got := KernelFS("/proc/self"); got != "proc" {
		t.Errorf("/proc/self: %q", got)
	}
	if got := KernelFS(t.TempDir()); got != "" {
		t.Errorf("a temporary directory: %q", got)
	}
}
