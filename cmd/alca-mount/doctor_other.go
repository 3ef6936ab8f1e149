//go:build !linux

package main

import "github.com/alca-mount/alca-mount/cmd/alca-mount/internal/doctor"

// watchLimits knows of none: inotify is Linux's.
func watchLimits() doctor.Watches { return doctor.Watches{} }
