package doctor

import (
	"strings"
	"testing"
)

// healthy is a machine without anything to say about.
func healthy() Facts {
	return Facts{
		Linux: true, Landlock: Landlock{ABI: 6, Writes: 3, Scopes: 6},
		Engines: []Engine{{Runtime: "docker", Kind: "docker-engine", Version: "27"}, {Runtime: "podman", Why: "podman: none"}},
		Watches: Watches{Limit: 1000, Used: 10, Need: 100, Instances: 128, InstancesUsed: 3},
		Reflink: Reflink{Tried: true, Shared: true}, Rules: Rules{Any: true},
		Sessions: []Session{{"s1", "running"}},
	}
}

func TestAHealthyMachineHasNothingButOK(t *testing.T) {
	found := Examine(healthy())
	for _, f := range found {
		if f.Level != OK || f.Fix != "" || f.Text == "" {
			t.Errorf("%+v", f)
		}
	}
	if Bad(found) || len(found) != 7 {
		t.Errorf("%d findings, bad: %v", len(found), Bad(found))
	}
}

func TestEachFactHasItsFinding(t *testing.T) {
	for _, c := range []struct {
		name  string
		harm  func(*Facts)
		check string
		level Level
		text  string
		fix   string
	}{
		{"no namespaces", func(f *Facts) { f.Namespace = Namespace{"off", "sysctl x"} }, "namespaces", Limits, "off", "sysctl x"},
		{"no namespaces, nobody knows why", func(f *Facts) { f.Namespace = Namespace{Why: "odd"} }, "namespaces", Limits, "odd", "--isolation none"},
		{"another system", func(f *Facts) { f.Linux = false }, "namespaces", Note, "Linux's", "--image"},
		{"no Landlock", func(f *Facts) { f.Landlock.ABI = 0 }, "landlock", Limits, "has none", "lsm="},
		{"Landlock without truncate", func(f *Facts) { f.Landlock.ABI = 2 }, "landlock", Limits, "version 2", "6.2"},
		{"Landlock without scopes", func(f *Facts) { f.Landlock.ABI = 5 }, "landlock", Note, "abstract sockets", "6.12"},
		{"no engine", func(f *Facts) { f.Engines[0].Why = "docker: none" }, "containers", Note, "docker: none; podman: none", "install or start"},
		{"no engine for the image", func(f *Facts) { f.Engines[0].Why, f.Image = "docker: none", "img" }, "containers", Limits, "image img", "install or start"},
		{"one watch too few", func(f *Facts) { f.Watches.Limit = 109 }, "watches", Limits, "watches 100", "fs.inotify.max_user_watches=8192"},
		{"many watches", func(f *Facts) { f.Watches = Watches{Limit: 8192, Need: 9000} }, "watches", Limits, "9000", "max_user_watches=32768"},
		{"one instance too few", func(f *Facts) { f.Watches.InstancesUsed = 127 }, "watches", Limits, "127", "max_user_instances=256"},
		{"whole copies", func(f *Facts) { f.Reflink = Reflink{Tried: true, State: "/s"} }, "copying", Note, "whole copies", "/s"},
		{"unread rules", func(f *Facts) { f.Rules.Err = "a line" }, "rules", Limits, "a line", "mend"},
		{"no rules", func(f *Facts) { f.Rules.Any = false }, "rules", Note, "no rule files", "init"},
		{"a bad pattern", func(f *Facts) { f.Rules.Warnings = []string{".agentignore:3: bad"} }, "rules", Limits, ":3: bad", "line"},
		{"another tool's file", func(f *Facts) { f.Rules.Foreign = []string{".cursorignore"} }, "rules", Note, ".cursorignore", "copy"},
		{"another tool's file alone", func(f *Facts) { f.Rules = Rules{Foreign: []string{".cursorignore"}} }, "rules", Limits, ".cursorignore", "init"},
		{"read differently", func(f *Facts) { f.Rules.Different = []Difference{{".agentignore:2", "a/**", "a/", false}} }, "rules", Note, ":2: a/** does not match a/", "plain"},
		{"a crash", func(f *Facts) { f.Sessions = []Session{{"s1", "kept"}, {"s2", "crashed"}} }, "sessions", Limits, "s2 (crashed)", "recover"},
		{"a kept session", func(f *Facts) { f.Sessions = []Session{{"s1", "kept"}} }, "sessions", Note, "s1", "status"},
	} {
		facts := healthy()
		c.harm(&facts)
		found := Examine(facts)
		seen := false
		for _, f := range found {
			seen = seen || f.Check == c.check && f.Level == c.level && strings.Contains(f.Text, c.text) && strings.Contains(f.Fix, c.fix)
		}
		if !seen || Bad(found) != (c.level == Limits) {
			t.Errorf("%s: bad: %v, %+v", c.name, Bad(found), found)
		}
	}
}
