//go:build linux

package containers

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var npm = flag.Bool("npm", false, "run an npm project, with packages from the registry, on each engine")

const nodeImage = "localhost/alca/node:test"

// npmProject is a project with real dependencies, one of them a program for this machine, that runs its tests in a container
// with a copy of what is installed outside. That stays as it is, to the byte.
func npmProject(t *testing.T, e *engine) {
	e.load(t, nodeImage, nodeTar(t))
	p := newProject(t, e, `package.json={"name":"demo","private":true,"scripts":{"test":"node test.js"},"dependencies":{"ms":"2.1.3","semver":"7.6.3","esbuild":"0.24.0"}}`,
		`test.js=if (require("ms")("1s") !== 1000 || !require("semver").gt("2.0.0", "1.0.0")) process.exit(1)
console.log(require("esbuild").transformSync("let a = 1 + 1").code.trim(), process.getuid())`)
	install := e.command("npm", "install", "--silent", "--no-audit", "--no-fund")
	install.Dir, install.Env = p.dir, append(install.Env, "npm_config_cache="+filepath.Dir(p.dir)+"/npm")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	before := treeOf(t, p.dir+"/node_modules")
	test := append(e.flags(), "--image", nodeImage, "--runtime", e.cli, "--overlay", "auto", "--", "npm", "test", "--silent")
	for _, what := range []string{"first", "second"} {
		o := p.run(test...)
		o.wantCode(t, 0)
		o.wantIn(t, o.out, "let a = 1 + 1; "+e.user.Uid)
		if strings.Contains(o.stderr, "overlay") {
			t.Errorf("%s start: %s", what, o.stderr)
		}
		t.Logf("%s start: %s", what, firstLine(o.stderr))
	}
	p.write("package-lock.json", p.read("package-lock.json")+"\n")
	o := p.run(test...)
	o.wantCode(t, 0)
	o.wantIn(t, o.stderr, "other lock files")
	if now := treeOf(t, p.dir+"/node_modules"); now != before {
		t.Error("node_modules outside changed")
	}
	p.run(append(e.flags(), "--image", nodeImage, "--runtime", e.cli, "--", "npm", "test", "--silent")...).wantCode(t, 1)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// treeOf describes a tree: names, modes, times and content.
func treeOf(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		fmt.Fprintf(h, "%q %v %v\n", p, info.Mode(), info.ModTime())
		switch d.Type() {
		case 0:
			data, err := os.ReadFile(p)
			h.Write(data)
			return err
		case fs.ModeSymlink:
			to, err := os.Readlink(p)
			fmt.Fprintf(h, "%q", to)
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// nodeTar is a root file system of busybox and this machine's node and npm, with the libraries that they name.
func nodeTar(t *testing.T) io.Reader {
	t.Helper()
	dir := t.TempDir()
	untar := exec.Command("tar", "-x", "-C", dir)
	untar.Stdin = busyboxTar(t)
	if out, err := untar.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	script := `set -e
node=$(readlink -f "$(command -v node)"); npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
mkdir -p "$1/usr/bin" "$1/usr/lib" "$1/lib64"
cp "$node" "$1/usr/bin/node"
cp -R "$npm" "$1/usr/lib/npm"
ln -s ../lib/npm/bin/npm-cli.js "$1/usr/bin/npm"
ln -s ../../bin/busybox "$1/usr/bin/env"
ldd "$node" | grep -o '/[^ ]*' | while read -r lib; do mkdir -p "$1$(dirname "$lib")"; cp -L "$lib" "$1$lib"; done
tar -C "$1" -c .`
	cmd := exec.Command("sh", "-c", script, "sh", dir)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("an image with node: %v\n%s", err, &stderr)
	}
	if _, err := tar.NewReader(bytes.NewReader(out.Bytes())).Next(); err != nil {
		t.Fatal(err)
	}
	return &out
}
