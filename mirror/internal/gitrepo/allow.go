package gitrepo

import (
	"slices"
	"strings"
)

// allowed returns the settings that a standalone copy gets, and the names ("section.key", never a subsection or value,
// which may hold secrets) of those it does not. The list names what may come along, because git has ever more
// settings that run a program or hold a credential:
//
//	core          filemode symlinks ignorecase precomposeunicode autocrlf eol safecrlf quotepath abbrev
//	              bigfilethreshold sparsecheckout sparsecheckoutcone
//	branch.*      remote merge rebase pushremote
//	remote.*      url pushurl fetch push mirror prune tagopt promisor partialclonefilter
//	user          name email
//	extensions    partialclone
//	status, diff, merge, push, pull, i18n: settings that change what is printed or the default of a choice
//
// Remote addresses lose their credentials ([safeURL]); core.worktree is dropped and core.bare is false.
func allowed(c config) (keep config, dropped []string) {
	for _, e := range c {
		ours := e.section == "core" && (e.key == "repositoryformatversion" || e.key == "bare" || e.key == "worktree")
		if ours {
			continue
		}
		kept, ok := allow(e)
		if !ok {
			dropped = append(dropped, e.section+"."+e.key)
			continue
		}
		keep = append(keep, kept)
	}
	version := "0"
	if keep.get("extensions", "", "partialclone") != "" {
		version = "1"
	}
	head := config{
		{section: "core", key: "repositoryformatversion", value: version},
		{section: "core", key: "bare", value: "false"},
	}
	slices.Sort(dropped)
	return append(head, keep...), slices.Compact(dropped)
}

// allow decides on one setting and cleans its value.
func allow(e setting) (setting, bool) {
	if hasControl(e.value) || hasControl(e.subsection) || strings.Contains(e.subsection, "://") {
		return e, false
	}
	if !slices.Contains(allowedKeys(e.section, e.subsection != ""), e.key) {
		return e, false
	}
	isURL := e.section == "remote" && (e.key == "url" || e.key == "pushurl")
	if isURL || (e.section == "branch" && strings.ContainsAny(e.value, ":@")) {
		var ok bool
		e.value, ok = safeURL(e.value)
		return e, ok
	}
	return e, true
}

func allowedKeys(section string, sub bool) []string {
	switch {
	case section == "branch" && sub:
		return []string{"remote", "merge", "rebase", "pushremote"}
	case section == "remote" && sub:
		return []string{"url", "pushurl", "fetch", "push", "mirror", "prune", "tagopt", "promisor", "partialclonefilter"}
	case sub:
		return nil
	}
	switch section {
	case "core":
		return []string{"filemode", "symlinks", "ignorecase", "precomposeunicode", "autocrlf", "eol", "safecrlf",
			"quotepath", "abbrev", "bigfilethreshold", "logallrefupdates", "sparsecheckout", "sparsecheckoutcone"}
	case "user":
		return []string{"name", "email"}
	case "extensions":
		return []string{"partialclone"}
	case "status":
		return []string{"showuntrackedfiles", "renames", "renamelimit", "relativepaths", "branch", "short"}
	case "diff":
		return []string{"algorithm", "renames", "renamelimit", "noprefix", "mnemonicprefix", "context"}
	case "merge":
		return []string{"conflictstyle", "ff", "renames", "renamelimit"}
	case "push":
		return []string{"default"}
	case "pull":
		return []string{"rebase", "ff"}
	case "i18n":
		return []string{"commitencoding", "logoutputencoding"}
	}
	return nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// safeURL takes the credentials out of a remote's address. Where it cannot be sure it says no: addresses that run a
// helper program ("ext::…"), and an "@" or a password in a place where git would not look for one.
func safeURL(url string) (string, bool) {
	if strings.Contains(url, "::") && !strings.Contains(url, "[") {
		return "", false
	}
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url, plainAddress(url)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, path := rest[:end], rest[end:]
	user := ""
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		user, _, _ = strings.Cut(host[:at], ":")
		host = host[at+1:]
	}
	// An ssh user is part of the address; the user of any other scheme is often a token.
	if user != "" && strings.Contains(strings.ToLower(scheme), "ssh") {
		host = user + "@" + host
	}
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	return scheme + "://" + host + path, !strings.Contains(path, "@")
}

// plainAddress accepts a path and the short ssh form "user@host:path", where nothing before the host may be a password.
func plainAddress(url string) bool {
	before, _, ok := strings.Cut(url, "@")
	return !ok || (!strings.ContainsAny(before, ":/") && strings.Count(url, "@") == 1)
}
