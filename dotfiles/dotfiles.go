// Package dotfiles says which access a path of the project has, and why; where rules cannot be read it refuses.
package dotfiles

// Access is what the agent may do with a path. The order is from strict to open: of two answers the smaller wins.
// The zero value is Hidden, so that a forgotten answer shows nothing.
type Access uint8

// The accesses, strictest first.
const (
	// Hidden: a rule hides the path (or it is a policy file the agent must not read). It never crosses.
	Hidden Access = iota
	// Excluded: left out by the built-in list or an exclude. It never crosses and what appears there is no orphan.
	Excluded
	// ReadOnly: mirrored, project → mirror only.
	ReadOnly
	// OneWay: .git under --git copy. Mirrored, project → mirror until the agent's first write there.
	OneWay
	// Writable: mirrored both ways.
	Writable
)

var accessNames = [...]string{"hidden", "excluded", "readonly", "oneway", "writable"}

func (a Access) String() string { return accessNames[a] }

// Mirrored reports whether the path exists in the mirror at all.
func (a Access) Mirrored() bool { return a >= ReadOnly }
