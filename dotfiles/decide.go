package dotfiles

import "strings"

// answer is an access and the rule that gave it, or nil.
type answer struct {
	access Access
	rule   *Rule
}

// Access says what the agent may do with rel, a slash-separated path relative to the project; "." is the project
// itself. An invalid path is Hidden.
//
// It is the strictest of what the rules say of rel and of each directory above it: what hides a directory hides all
// in it, and what makes it read-only makes all in it read-only.
func (p *Policy) Access(rel string, isDir bool) Access {
	if rel == "." {
		return p.top()
	}
	access, dir := Writable, ""
	for next := 0; next <= len(rel) && access != Hidden; {
		start, end := next, nameEnd(rel, next)
		access = p.AccessBelow(dir, access, rel[start:end], isDir || end < len(rel))
		dir, next = rel[:end], end+1
	}
	return access
}

// nameEnd returns where the name that begins at start ends in rel.
func nameEnd(rel string, start int) int {
	if n := strings.IndexByte(rel[start:], '/'); n >= 0 {
		return start + n
	}
	return len(rel)
}

// top is the access of the project itself.
func (p *Policy) top() Access {
	if p == nil || len(p.parts) == 0 {
		return Hidden
	}
	return Writable
}

// AccessBelow is Access for the entry name of a directory whose own access the caller got from this policy:
// the step of a walk from the top, without looking at the parents again. The top is "." or "".
func (p *Policy) AccessBelow(dir string, dirAccess Access, name string, isDir bool) Access {
	if dirAccess == Hidden || !validName(name) || p.top() == Hidden {
		return Hidden
	}
	if dir == "." {
		dir = ""
	}
	git := dirAccess != Writable && inGit(dir)
	access := dirAccess
	for _, s := range p.parts {
		if a := s.own(dir, name, isDir, git).access; a < access {
			access = a
		}
	}
	return access
}

// Explain is Access with the reason: the rule that gave the access, at the topmost directory where one did. Of a
// writable path it is the "!" that re-opened it, if there is one.
func (p *Policy) Explain(rel string, isDir bool) Verdict {
	if rel == "." {
		return Verdict{Access: p.top()}
	}
	if p.top() == Hidden {
		return Verdict{}
	}
	best := Verdict{Access: Writable}
	dir, git := "", false
	for next := 0; next <= len(rel); {
		start, end := next, nameEnd(rel, next)
		name, at := rel[start:end], rel[:end]
		if !validName(name) {
			return Verdict{}
		}
		best = p.stricterAt(best, dir, name, at, isDir || end < len(rel), git)
		git = git || isDotGit(name)
		dir, next = at, end+1
	}
	return best
}

// stricterAt returns best, or what the rules say of the entry at, if that is stricter.
func (p *Policy) stricterAt(best Verdict, dir, name, at string, isDir, git bool) Verdict {
	if best.Access == Writable {
		best = Verdict{Access: Writable} // what re-opened a directory says nothing of what lies in it
	}
	for _, s := range p.parts {
		a := s.own(dir, name, isDir, git)
		if a.access < best.Access || a.access == best.Access && best.At == "" && a.rule != nil {
			best = Verdict{Access: a.access, Rule: *a.rule, At: at}
		}
	}
	return best
}

// validName reports whether name is one element of a path inside the project.
func validName(name string) bool {
	return name != "" && name != "." && name != ".." && strings.IndexByte(name, '/') < 0 && strings.IndexByte(name, 0) < 0
}

// own says what the rules say of one entry, the directories above it left aside.
func (s *ruleset) own(dir, name string, isDir, git bool) answer {
	if s.fold {
		dir, name = folded(dir), folded(name)
	}
	switch {
	case storeName(name):
		return answer{Excluded, &Rule{Pattern: storePrefix + "*", Source: SourceDefault}}
	case unlinkedName(name) != "":
		return answer{Excluded, &Rule{Pattern: unlinkedName(name), Source: SourceDefault}}
	case isDotGit(name):
		return s.git(dir, name, isDir, s.dotGit)
	case git:
		return s.git(dir, name, isDir, answer{Writable, nil})
	}
	last := s.hidden.list.Last(dir, name, isDir)
	if last >= 0 && !s.hidden.list[last].Negated() {
		return answer{Hidden, &s.hidden.rules[last]}
	}
	if i := s.overlays.list.Last(dir, name, isDir); i >= 0 {
		return answer{Excluded, &s.overlays.rules[i]}
	}
	if i := s.excludes.list.Last(dir, name, isDir); i >= 0 {
		return answer{Hidden, &s.excludes.rules[i]}
	}
	file, filePattern := policyFile(name)
	if file == Hidden {
		return answer{Hidden, &Rule{Pattern: filePattern, Source: SourceDefault}}
	}
	if rule := s.derived(dir, name, last); rule != nil {
		return answer{Hidden, rule}
	}
	if b := s.builtinFor(dir, name); b != nil && !s.reopens(last) && !s.artifact(dir, name) {
		return answer{Excluded, &b.rule}
	}
	if file == ReadOnly {
		return answer{ReadOnly, &Rule{Pattern: filePattern, Source: SourceDefault}}
	}
	return s.writing(dir, name, isDir, last)
}

// writing tells read-only from writable, of an entry that is not left out.
func (s *ruleset) writing(dir, name string, isDir bool, reopened int) answer {
	if i := s.policy.list.Last(dir, name, isDir); i >= 0 {
		return answer{ReadOnly, &s.policy.rules[i]}
	}
	i := s.readOnly.list.Last(dir, name, isDir)
	switch {
	case i >= 0 && !s.readOnly.list[i].Negated():
		return answer{ReadOnly, &s.readOnly.rules[i]}
	case i >= 0:
		return answer{Writable, &s.readOnly.rules[i]}
	case reopened >= 0:
		return answer{Writable, &s.hidden.rules[reopened]}
	}
	return answer{Writable, nil}
}

// git answers for .git and what lies below it: --git decides, and patterns that name .git can only hide more.
func (s *ruleset) git(dir, name string, isDir bool, otherwise answer) answer {
	if i := s.hiddenInGit.list.Last(dir, name, isDir); i >= 0 && !s.hiddenInGit.list[i].Negated() {
		return answer{Hidden, &s.hiddenInGit.rules[i]}
	}
	if i := s.excludesInGit.list.Last(dir, name, isDir); i >= 0 {
		return answer{Hidden, &s.excludesInGit.rules[i]}
	}
	return otherwise
}

func (s *ruleset) builtinFor(dir, name string) *builtin {
	b := s.builtin[name]
	if s.fold && b == nil && len(name) <= longestBuiltin {
		var lower [longestBuiltin]byte // on the stack: this runs for every entry
		for i := range len(name) {
			lower[i] = lowerASCII(name[i])
		}
		b = s.builtin[string(lower[:len(name)])]
	}
	if b == nil || b.topOnly && dir != "" {
		return nil
	}
	return b
}

// reopens reports whether the rule last, which matched, takes a name out of the built-in list: a "!" does that says
// something of the name. "!*/" in a list that begins with "*" is not meant for node_modules.
func (s *ruleset) reopens(last int) bool {
	return last >= 0 && s.hidden.list[last].Negated() && !s.hidden.list[last].OnlyWildcards()
}

// artifact reports whether the entry is an artifact, lies in one, or is on the way to one.
func (s *ruleset) artifact(dir, name string) bool {
	if len(s.artifacts) == 0 {
		return false
	}
	p := strings.TrimPrefix(dir+"/"+name, "/") + "/"
	for _, a := range s.artifacts {
		if strings.HasPrefix(p, a+"/") || strings.HasPrefix(a+"/", p) {
			return true
		}
	}
	return false
}

// derived returns the rule that hides the name that name is a derivative of, or nil. A pattern hides the derivatives
// of a name at its own place in the list: a later "!" that matches the derivative itself (reopened) shows it again.
func (s *ruleset) derived(dir, name string, reopened int) *Rule {
	if !mayBeDerived(name) {
		return nil
	}
	var rule *Rule
	DerivedOf(name, func(n string) bool {
		if i := s.hidden.list.Last(dir, n, false); i > reopened && !s.hidden.list[i].Negated() {
			rule = &s.hidden.rules[i]
		} else if i := s.excludes.list.Last(dir, n, false); i >= 0 {
			rule = &s.excludes.rules[i]
		} else if access, pattern := policyFile(n); access == Hidden {
			rule = &Rule{Pattern: pattern, Source: SourceDefault}
		}
		return rule != nil
	})
	return rule
}
