package main

import (
	"strings"

	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/config"
	"github.com/alca-mount/alca-mount/launcher"
)

// profile is what the agent gets of its user's home directory in a container; nil: nothing.
func (r *runFlags) profile(command []string) *launcher.Profile {
	if !r.inContainer() || r.noProfile {
		return nil
	}
	return profileOf(r.agentOf(command), r.config)
}

// profileOf finds the profile of an agent: the built-in one, the user's own, or both together.
func profileOf(agent string, m *config.Merged) *launcher.Profile {
	out := launcher.Profile{Name: agent}
	for _, p := range launcher.Profiles() {
		if p.Name == agent {
			out = p
		}
	}
	if m != nil {
		for _, p := range m.Config.Profile {
			if p.Name == agent {
				out = out.With(p.Files, p.Env)
			}
		}
	}
	if len(out.Files)+len(out.Env) == 0 {
		return nil
	}
	return &out
}

// tellProfile names all that a container got of its user's.
func tellProfile(o *output, p *launcher.ProfileUsed) {
	if p == nil {
		return
	}
	var parts []string
	for _, list := range []struct {
		what  string
		names []string
	}{{"copied", atHome(p.Files)}, {"as copied before", atHome(p.Before)}, {"passed on", p.Env}} {
		if len(list.names) > 0 {
			parts = append(parts, list.what+" "+strings.Join(list.names, ", "))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing of yours is there to take"}
	}
	o.say("profile %s: %s · its home: %s · --no-profile leaves it out", p.Name, strings.Join(parts, " · "), show(p.Home))
}

func atHome(files []string) []string {
	out := make([]string, len(files))
	for i, f := range files {
		out[i] = "~/" + show(f)
	}
	return out
}
