package main

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// jsonPath is a path among an object's fields: a name that is not UTF-8 has its bytes in path_b64.
type jsonPath struct {
	Path  string `json:"path"`
	Bytes []byte `json:"path_b64,omitempty"`
}

func pathFields(p string) jsonPath {
	if utf8.ValidString(p) {
		return jsonPath{Path: p}
	}
	return jsonPath{Path: strings.ToValidUTF8(p, "\uFFFD"), Bytes: []byte(p)}
}

// listedPath is a path as an element of a list: a string, or where it is not UTF-8 an object as above.
type listedPath string

// MarshalJSON writes the path.
func (p listedPath) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(p)) {
		return marshal(string(p))
	}
	return marshal(pathFields(string(p)))
}

// jsonNote is a path with what is to be said of it.
type jsonNote struct {
	jsonPath
	Why  string `json:"why,omitempty"`
	Kept string `json:"kept,omitempty"`
}

// jsonChanges is the answer of sync and of the commands like it.
type jsonChanges struct {
	ToProject []listedPath `json:"to_project"`
	Deleted   []listedPath `json:"deleted"`
	Conflicts []jsonNote   `json:"conflicts"`
	Refused   []jsonNote   `json:"refused"`
	Held      []listedPath `json:"held"`
	Orphans   []listedPath `json:"orphans"`
	Failed    []jsonNote   `json:"failed"`
	Commits   []jsonBranch `json:"commits,omitempty"`
	Pending   []listedPath `json:"pending_deletes"`
	Excluded  []listedPath `json:"new_in_excluded,omitempty"`
	Recovered []jsonNote   `json:"recovered,omitempty"`
	Lost      []listedPath `json:"lost,omitempty"` // by the mirror, in a power cut
	Halted    string       `json:"halted,omitempty"`
}

// jsonBranch is a branch whose commits came home.
type jsonBranch struct {
	Branch  string       `json:"branch"`
	Ref     string       `json:"ref"`
	Commits []jsonCommit `json:"commits"`
}

type jsonCommit struct {
	ID      string `json:"id"`
	Subject string `json:"subject"`
}

func branchesJSON(list []mirror.BroughtBranch) []jsonBranch {
	out := make([]jsonBranch, len(list))
	for i, b := range list {
		out[i] = jsonBranch{Branch: b.Branch, Ref: b.Ref}
		for _, c := range b.Commits {
			out[i].Commits = append(out[i].Commits, jsonCommit{c.ID, strings.ToValidUTF8(c.Subject, "\uFFFD")})
		}
	}
	return out
}

func changesJSON(c autosync.Changes) jsonChanges {
	return jsonChanges{
		ToProject: listPaths(c.ToProject),
		Deleted:   listNotes(c.Deleted),
		Conflicts: notes(c.Conflicts),
		Refused:   notes(c.Refused),
		Held:      listNotes(c.Held),
		Orphans:   listNotes(c.Orphans),
		Failed:    notes(c.Failed),
		Commits:   branchesJSON(c.Commits),
		Pending:   listPaths(c.PendingDelete),
		Excluded:  listPaths(c.NewInExcluded),
		Recovered: notes(c.Recovered),
		Lost:      listPaths(c.Lost),
		Halted:    c.Halted,
	}
}

func listPaths(paths []safety.RelPath) []listedPath {
	out := make([]listedPath, len(paths))
	for i, p := range paths {
		out[i] = listedPath(p)
	}
	return out
}

func listNotes(list []autosync.PathNote) []listedPath {
	out := make([]listedPath, len(list))
	for i, n := range list {
		out[i] = listedPath(n.Path)
	}
	return out
}

func notes(list []autosync.PathNote) []jsonNote {
	out := make([]jsonNote, len(list))
	for i, n := range list {
		out[i] = jsonNote{pathFields(string(n.Path)), n.Why, n.Kept}
	}
	return out
}

func skippedJSON(list []mirror.Skipped) []jsonNote {
	out := make([]jsonNote, len(list))
	for i, s := range list {
		out[i] = jsonNote{jsonPath: pathFields(string(s.Path)), Why: s.Why}
	}
	return out
}

// marshal is json.Marshal without the escapes meant for HTML.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return []byte(strings.TrimSuffix(b.String(), "\n")), err
}

// answer writes v as one line of JSON on stdout.
func (a *app) answer(v any) error {
	data, err := marshal(v)
	if err != nil {
		return err
	}
	return a.write(append(data, '\n'))
}

// methodName is how copied_by names a method.
func methodName(m safety.Method) string {
	return map[safety.Method]string{
		safety.Nothing: "nothing", safety.Reflink: "reflink", safety.CopyRange: "copy_file_range", safety.ReadWrite: "copy",
	}[m]
}
