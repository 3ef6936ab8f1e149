package safety

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// thisBoot reads the id that the kernel draws for each boot, and when that was.
func thisBoot(time.Time) (Boot, error) {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return Boot{}, fmt.Errorf("which boot this is: %w", err)
	}
	began, err := unix.SysctlTimeval("kern.boottime")
	if err != nil {
		return Boot{}, fmt.Errorf("when this boot began: %w", err)
	}
	return Boot{ID: id, Began: time.Unix(began.Unix())}, nil
}
