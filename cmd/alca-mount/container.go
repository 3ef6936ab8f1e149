package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/alca-mount/alca-mount/launcher"
)

// checkContainer refuses flags that only a container has where there is none: they would silently do nothing.
func (r *runFlags) checkContainer(f *pflag.FlagSet) error {
	if f.Changed("image") && r.image == "" {
		return errors.New("--image: expected an image, got an empty string")
	}
	if r.inContainer() && (len(r.hide)+len(r.allowSockets) > 0 || r.confine) {
		return errors.New("--hide, --allow-socket and --confine-writes are for --isolation namespace: in a container there is only what is mounted")
	}
	if f.Changed("image") && ruledOut(f) {
		return fmt.Errorf("--image %s is for a container, and --isolation %s is none: leave one of them out", r.image, r.isolation.value)
	}
	if r.image != "" {
		return nil
	}
	for _, name := range []string{"runtime", "mount"} {
		if f.Changed(name) {
			return fmt.Errorf("--%s is for a container: name its image with --image IMG, or image in .alca.toml", name)
		}
	}
	return nil
}

// tellMounts says how each mirrored mount ended, where there is something to say.
func tellMounts(o *output, res launcher.Result) {
	for _, m := range res.Mounts {
		if m.Changes.Untouched() && m.Mirror == "" {
			continue
		}
		o.say("mount %s at %s:", show(m.Source), m.Target)
		tellEnd(o, ending{session: m.Session, changes: m.Changes, store: m.Store, mirror: m.Mirror, whyKept: m.WhyKept})
	}
}
