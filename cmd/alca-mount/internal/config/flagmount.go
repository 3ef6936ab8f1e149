package config

import (
	"fmt"
	"os"
	"reflect"
)

// AddMount adds a mount given as "SOURCE:TARGET[:ro]" on the command line, by the same rules as one of a file.
// dir is what a relative source is relative to.
func (m *Merged) AddMount(given, dir string) error {
	g := grammar()
	c := &checker{grammar: g, dir: dir, layer: User, env: surroundings{home: dir, getenv: os.LookupEnv}}
	n, f := &node{kind: text, value: given}, g.get("mounts").elem
	c.table(n, f, "")
	if len(c.errs) > 0 {
		return fmt.Errorf("%s", c.errs[0].Text)
	}
	var mount Mount
	bind(n, f, reflect.ValueOf(&mount).Elem())
	for _, other := range m.Config.Mounts {
		if other.Target == mount.Target {
			return fmt.Errorf("%s is taken already, by %s: expected another directory", mount.Target, other.Source)
		}
	}
	mount.Mirror = "auto"
	if err := m.checkSource(mount); err != nil {
		return err
	}
	m.Config.Mounts = append(m.Config.Mounts, m.settled(mount))
	return nil
}
