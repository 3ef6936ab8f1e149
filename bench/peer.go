package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const peerPackage = "@relayfile/local-mount"

// peerScript drives the package: launch runs a program on a mount; watch keeps one in step until its input ends.
const peerScript = `import { createMount, launchOnMount } from '@relayfile/local-mount';
const [mode, projectDir, mountDir, cli] = process.argv.slice(2);
if (mode === 'launch') {
  await launchOnMount({ cli, args: [], projectDir, mountDir });
  process.exit(0);
}
const mount = await createMount(projectDir, mountDir, { ignoredPatterns: [], readonlyPatterns: [], excludeDirs: [] });
const sync = mount.startAutoSync();
await sync.ready();
process.stdout.write('ready\n');
await new Promise((end) => process.stdin.on('end', end).resume());
await sync.stop();
await mount.cleanup();
process.exit(0);
`

// installPeer fetches the package; without npm the tables have no row of its.
func (b *bench) installPeer() string {
	dir := filepath.Join(b.dir, "peer")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return ""
	}
	c := b.command("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir, peerPackage)
	c.Dir, c.Stderr = dir, nil
	if err := c.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "bench: left out: %s: %v\n", peerPackage, err)
		return ""
	}
	if err := os.WriteFile(filepath.Join(dir, "drive.mjs"), []byte(peerScript), 0o644); err != nil {
		return ""
	}
	return dir
}

func (b *bench) drivePeer(args ...string) (*exec.Cmd, error) {
	if b.peer == "" {
		return nil, fmt.Errorf("%s is not installed", peerPackage)
	}
	c := b.command("node", append([]string{filepath.Join(b.peer, "drive.mjs")}, args...)...)
	c.Stderr = nil
	return c, nil
}

func (b *bench) peerLaunch() candidate {
	return candidate{peerPackage, func(project, work string) (time.Duration, error) {
		c, err := b.drivePeer("launch", project, filepath.Join(work, "mount"), b.self)
		if err != nil {
			return 0, err
		}
		return b.untilExec(c)
	}}
}

func (b *bench) peerWhole() candidate {
	return candidate{peerPackage, func(project, work string) (time.Duration, error) {
		c, err := b.drivePeer("launch", project, filepath.Join(work, "mount"), "true")
		if err != nil {
			return 0, err
		}
		return timed(c)
	}}
}
