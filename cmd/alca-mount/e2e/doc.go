// Package e2e holds the tests that attack the finished program: they know its command line and nothing else of it.
//
// Every test runs the alca-mount binary on a project of its own, as an agent or a user would, and judges what came out
// with tools that are not the project's: cp -a, rsync, grep, find, git. ALCA_MOUNT_BIN names a binary to test; without
// it one is built. -long runs the large counts.
package e2e
