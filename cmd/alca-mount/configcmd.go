package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/config"
)

func (a *app) configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the configuration that holds for a project, and where each line comes from",
		Long: `Print what .alca.toml, the files that it extends and includes, and your own config.toml say together, as TOML with
the place of each value behind it. With --json, also what of it you have to allow, and whether you have.`,
		Args: args(0, 0, "no arguments, or the word schema"),
		RunE: func(*cobra.Command, []string) error {
			where, err := findPlace(a.project)
			if err != nil {
				return err
			}
			m, err := a.loadConfig(where.project)
			if err != nil {
				return err
			}
			return a.tellConfig(m)
		},
	}
	c.AddCommand(&cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of .alca.toml, for editors",
		Args:  args(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			data, err := config.Schema()
			if err != nil {
				return err
			}
			return a.write(data)
		},
	})
	return c
}

type jsonSetting struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Source string `json:"source"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Layer  string `json:"layer"`
}

type jsonNeed struct {
	Key    string `json:"key"`
	Why    string `json:"why"`
	Source string `json:"source"`
	Line   int    `json:"line"`
}

type jsonConfigFile struct {
	jsonPath
	Layer  string `json:"layer"`
	SHA256 string `json:"sha256"`
}

type jsonConfig struct {
	Project string           `json:"project"`
	Files   []jsonConfigFile `json:"files"`
	Values  []jsonSetting    `json:"values"`
	Needs   []jsonNeed       `json:"needs"`
	Allowed bool             `json:"allowed"`
}

func (a *app) tellConfig(m *config.Merged) error {
	needs := m.Needs()
	allowed := len(needs) == 0 || a.isAllowed(m)
	if a.json {
		return a.answer(configJSON(m, needs, allowed))
	}
	var b strings.Builder
	for _, f := range m.Files {
		fmt.Fprintf(&b, "# %s: %s\n", f.Layer, show(f.Path))
	}
	if len(m.Files) == 0 {
		b.WriteString("# no configuration\n")
	}
	b.WriteString(m.TOML())
	if !allowed {
		o := a.out()
		o.warn("not allowed yet; alca-mount -C %s allow would:", show(m.Project))
		tellNeeds(o, needs)
	}
	return a.write([]byte(b.String()))
}

func (a *app) isAllowed(m *config.Merged) bool {
	state, err := stateFor(m.Project)
	if err != nil {
		return false
	}
	dir, err := state.PrivateProjectDir(m.Project)
	if err != nil {
		return false
	}
	allowed, err := m.Allowed(dir)
	return allowed && err == nil
}

func configJSON(m *config.Merged, needs []config.Need, allowed bool) jsonConfig {
	out := jsonConfig{Project: m.Project, Files: []jsonConfigFile{}, Values: []jsonSetting{}, Needs: []jsonNeed{}, Allowed: allowed}
	for _, f := range m.Files {
		out.Files = append(out.Files, jsonConfigFile{pathFields(f.Path), f.Layer.String(), f.Sum})
	}
	for _, v := range m.Values() {
		out.Values = append(out.Values, jsonSetting{v.Key, v.Value, v.At.File, v.At.Line, v.At.Column, v.Layer.String()})
	}
	for _, n := range needs {
		out.Needs = append(out.Needs, jsonNeed{n.Key, n.Text, n.At.File, n.At.Line})
	}
	return out
}
