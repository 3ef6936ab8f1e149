//go:build !unix

package journal

const notOthers = 0
