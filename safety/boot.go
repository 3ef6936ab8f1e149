package safety

import "time"

// Boot is one run of the machine's kernel: what was written in it and not synced may be lost when it ends.
type Boot struct {
	ID    string    // "" where the system does not tell
	Began time.Time // by the clock of now
}

// ThisBoot says which boot this is; an error that wraps errors.ErrUnsupported where that can't be told.
func ThisBoot() (Boot, error) { return thisBoot(time.Now()) }
