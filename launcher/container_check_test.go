package launcher

import (
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/mirror"
)

// What is asked for is done, or is an error.
func TestContainerHasNothingForWhatOnlyANamespaceDoes(t *testing.T) {
	in := func(change func(*Options)) (*launch, error) {
		o := Options{
			Project: t.TempDir(), State: mirror.NewStateDir(t.TempDir()), Container: &Container{Image: "i", Network: "bridge"}, Command: []string{"true"},
		}
		change(&o)
		return prepare(o)
	}
	for name, change := range map[string]func(*Options){
		"hide":    func(o *Options) { o.Hide = []string{t.TempDir()} },
		"socket":  func(o *Options) { o.AllowSockets = []string{"/run/s"} },
		"writes":  func(o *Options) { o.ConfineWrites = true },
		"network": func(o *Options) { o.NoNetwork = true },
	} {
		if _, err := in(change); err == nil || !strings.Contains(err.Error(), "container") {
			t.Errorf("%s: %v", name, err)
		}
	}
	l, err := in(func(o *Options) { o.NoNetwork, o.Container.Network = true, "" })
	if err != nil || l.opts.Container.Network != "none" {
		t.Errorf("%+v, %v", l, err)
	}
}
