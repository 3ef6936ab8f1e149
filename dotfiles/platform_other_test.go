//go:build !unix

package dotfiles

import "errors"

func mkfifo(string) error { return errors.ErrUnsupported }

func foldsHere() bool { return true }
