package launcher

import (
	"slices"
	"strings"
)

// environment is the caller's environment with settings on top. A setting is KEY=VALUE, or KEY alone, which passes the
// caller's value on (there is nothing to do for it where the whole environment is passed on). Later settings win.
func environment(caller, settings []string, own ...string) []string {
	env := slices.Clone(caller)
	for _, s := range append(slices.Clone(settings), own...) {
		key, _, isSet := strings.Cut(s, "=")
		if !isSet {
			continue
		}
		env = slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, key+"=") })
		env = append(env, s)
	}
	return env
}
