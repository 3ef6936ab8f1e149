// Command alca-mount runs an agent on a copied mirror of a project.
// It only reads flags and tells what happened; what it promises is kept by the packages it calls.
package main

import (
	"os"

	"github.com/alca-mount/alca-mount/launcher"
)

func main() {
	launcher.Inside()
	surviveSignals()
	os.Exit(newApp().run(os.Args[1:]))
}
