//go:build !linux

package autosync

import "github.com/alca-mount/alca-mount/safety"

// birthOf is 0: this platform is not asked.
func birthOf(*safety.Root, safety.RelPath, safety.Info) int64 { return 0 }
