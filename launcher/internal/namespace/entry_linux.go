package namespace

import (
	"os"
	"sync/atomic"
)

// initName is what the program is started again under. No shell starts a program so, and descriptor 3 has to be what is
// expected.
const initName = "alca-mount:init"

// entered is set by Inside. It is global because it is about the program: whether its main begins with the call.
var entered atomic.Bool

// Inside does not return in a process that was started as a part of a namespace; elsewhere it does nothing but note that
// such processes can be started from this program.
func Inside() {
	if len(os.Args) > 0 && os.Args[0] == initName {
		os.Exit(initMain())
	}
	entered.Store(true)
}
