package launcher

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/alca-mount/alca-mount/launcher/internal/container"
	"github.com/alca-mount/alca-mount/safety"
)

// plainHome is the home of a user whom the image does not know. The engine's answer would be the root directory, which is not
// writable, or with Podman the working directory: histories and caches would come home into the project.
const plainHome = "/tmp"

// usersName is the file in the state directory that says of which users' homes images know: an image does not change.
const usersName = "image-users.json"

// findHome sees whether CMD's user has a home in the image. Where that can't be told, it is left to the engine.
func (r *containerRuntime) findHome(ctx context.Context) {
	uid, may := container.MayLackHome(r.image.Env, r.user.User)
	if !may || r.profile != nil || r.homeFound {
		return
	}
	r.homeFound = true
	ctx = context.WithoutCancel(ctx) // the mirror may be whole before this is known
	file, key := filepath.Join(r.l.state.Path(), usersName), fmt.Sprintf("%s %d", r.image.ID, uid)
	seen := readUsers(file)
	known, asked := seen[key]
	if !asked {
		err := r.look(ctx, func(id string) error {
			passwd, err := r.engine.ReadFile(ctx, id, "/etc/passwd")
			known = container.HasHome(passwd, uid)
			return err
		})
		if err != nil {
			return
		}
		seen[key] = known
		if data, err := json.MarshalIndent(seen, "", "  "); err == nil {
			_ = safety.WriteFileDurably(file, append(data, '\n'), 0o600) // else it is asked again
		}
	}
	if !known {
		r.home = plainHome
	}
}

// readUsers is empty where nothing can be read.
func readUsers(file string) map[string]bool {
	out := map[string]bool{}
	data, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(data, &out) != nil || out == nil {
		return map[string]bool{}
	}
	return out
}
