package watch

// meaning is what is to be done about an event.
type meaning uint8

const (
	nothing  meaning = iota
	changed          // hint at the entry
	came             // a directory of that name was made or moved here: enter it
	left             // a directory of that name was removed or moved away: look what is there now
	touched          // permissions of a directory: it may be readable now
	overflow         // events were lost
	vanished         // the watch is no more
	moved            // the root was renamed
	self             // the watched directory's own permissions
)
