//go:build !unix

package launcher

import "os"

func openBound(path string) (*os.File, error) { return os.Open(path) }
