package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// changesName is the file in a session's folder that keeps what its end brought, for `ls SESSION`.
const changesName = "changes.json"

// storeChanges keeps what a run did in its session and returns the command that lists it; "" when that is not possible.
func storeChanges(state *mirror.StateDir, r launcher.Result) string {
	if r.Session == "" {
		return ""
	}
	s, err := state.Find(r.Session, "")
	if err != nil {
		return "" // nothing worth a session's folder was left
	}
	if store(s, changesJSON(r.Changes)) != nil {
		return ""
	}
	return "alca-mount ls " + r.Session
}

func store(s *mirror.Session, changes any) error {
	data, err := marshal(changes)
	if err != nil {
		return err
	}
	return safety.WriteFileDurably(filepath.Join(s.Dir(), changesName), append(data, '\n'), 0o600)
}

// storedChanges are stored changes by their kinds, as they are in the file.
type storedChanges map[string]json.RawMessage

// list is a kind's; none where there is no such list.
func (c storedChanges) list(kind string) (out []json.RawMessage) {
	_ = json.Unmarshal(c[kind], &out)
	return out
}

// readChanges is what is stored of a session, or nil.
func readChanges(s *mirror.Session) storedChanges {
	out, _ := tryReadChanges(s) // who asks only counts goes without
	return out
}

// tryReadChanges is readChanges with an error where there is something that can't be read.
func tryReadChanges(s *mirror.Session) (out storedChanges, err error) {
	data, err := os.ReadFile(filepath.Join(s.Dir(), changesName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || json.Unmarshal(data, &out) != nil {
		return nil, err
	}
	return out, nil
}

// addChanges adds to what is stored of a session what a later command did to it, at only the paths, or all, unless that
// ended with err. That it could not be stored is no failure of the command, which tells it.
func addChanges(s *mirror.Session, c autosync.Changes, only []safety.RelPath, err error) {
	before := readChanges(s)
	if err != nil || before == nil && c.Untouched() {
		return
	}
	var after storedChanges
	data, err := marshal(changesJSON(c))
	if err == nil {
		err = json.Unmarshal(data, &after)
	}
	if err == nil {
		_ = store(s, mergeChanges(before, after, only))
	}
}

// mergeChanges keeps all that happened, and of what stood then, what later changes of only some paths say nothing of.
func mergeChanges(before, after storedChanges, only []safety.RelPath) storedChanges {
	out := storedChanges{}
	for kind := range after {
		out[kind] = after[kind]
	}
	for _, kind := range []string{"to_project", "deleted", "conflicts", "refused", "orphans", "commits", "recovered", "lost"} {
		out.join(kind, before.list(kind))
	}
	for _, kind := range []string{"held", "failed", "pending_deletes", "new_in_excluded"} {
		out.join(kind, slices.DeleteFunc(before.list(kind), func(item json.RawMessage) bool { return isAmong(item, only) }))
	}
	return out
}

// isAmong reports whether a stored item is of one of the paths, or below it; of no paths it always is.
func isAmong(item json.RawMessage, only []safety.RelPath) bool {
	path, _ := storedPath(item)
	return len(only) == 0 || slices.ContainsFunc(only, func(p safety.RelPath) bool { return safety.RelPath(path).In(p) })
}

// join puts earlier items before a kind's, each once, by path.
func (c storedChanges) join(kind string, earlier []json.RawMessage) {
	list := c.list(kind)
	for _, item := range slices.Backward(earlier) {
		if !slices.ContainsFunc(list, func(other json.RawMessage) bool { return bytes.Equal(item, other) }) {
			list = slices.Insert(list, 0, item)
		}
	}
	if len(list) == 0 {
		return
	}
	slices.SortStableFunc(list, func(a, b json.RawMessage) int {
		pa, _ := storedPath(a)
		pb, _ := storedPath(b)
		return strings.Compare(pa, pb)
	})
	data, err := marshal(list)
	if err == nil {
		c[kind] = data
	}
}
