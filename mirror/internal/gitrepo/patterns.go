package gitrepo

import "github.com/alca-mount/alca-mount/dotfiles"

// parsePatterns compiles one file of ignore patterns.
func parsePatterns(text []byte, source string) matcher { return dotfiles.ParsePatterns(text, source) }
