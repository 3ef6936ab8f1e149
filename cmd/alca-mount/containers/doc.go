// Package containers holds the contract that launches in containers keep on every engine, tested with the program itself
// on engines of the tests' own. scripts/test.sh containers runs it.
package containers
