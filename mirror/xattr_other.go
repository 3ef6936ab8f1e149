//go:build !linux && !darwin

package mirror

import "os"

func hasXattrs(*os.File) bool { return false }
