package autosync

import "github.com/alca-mount/alca-mount/safety"

// A side of which nothing is left may be one that was unmounted or cleared by mistake: nothing is concluded from it. Both
// wrap [safety.ErrGone].
const (
	// ErrMirrorEmptied says that all is gone from the mirror; AllowMassDelete or [Apply] carry that.
	ErrMirrorEmptied = emptied("all files are gone from the mirror; so many deletions wait for your word (--allow-mass-delete lets them pass)")
	// ErrProjectEmptied says that all is gone from the project.
	ErrProjectEmptied = emptied("all files are gone from the project; the mirror's stay as they are")
)

type emptied string

func (e emptied) Error() string { return string(e) }

// Is reports whether target is what all that is gone is known by.
func (e emptied) Is(target error) bool { return target == safety.ErrGone }
