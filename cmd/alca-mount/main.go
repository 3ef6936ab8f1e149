// Command alca-mount runs an agent on a copied mirror of a project.
// It only reads flags and tells what happened; what it promises is kept by the packages it calls.
package main

import (
	"os"
	"runtime"

	"github.com/alca-mount/alca-mount/launcher"
)

// spareProcessor lets one more goroutine run than there are CPUs. While all that may run are in system calls, as when a
// tree is copied, the runtime looks after them 50,000 times a second, and starts threads that find nothing to do.
func spareProcessor() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) }

func main() {
	launcher.Inside()
	surviveSignals()
	spareProcessor()
	os.Exit(newApp().run(os.Args[1:]))
}
