package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The lines of a document between which the report lies.
const (
	reportBegins = "<!-- measured: what is between this line and the next such one is written by bench -doc -->"
	reportEnds   = "<!-- end of what was measured -->"
)

// updateDocument puts a report between the two lines of a markdown document, and a plot beside it: x.svg of x.md. Without a
// plot the one that is there stays.
func updateDocument(file, report, plot string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	image := strings.TrimSuffix(file, filepath.Ext(file)) + ".svg"
	if plot != "" {
		if err := os.WriteFile(image, []byte(plot), 0o644); err != nil {
			return err
		}
	}
	if _, err := os.Stat(image); err == nil {
		report += fmt.Sprintf("\n![Time and memory against the number of files](%s)\n", filepath.Base(image))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text, err := withReport(string(data), report)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// withReport is the document with another report in it.
func withReport(document, report string) (string, error) {
	before, rest, begins := strings.Cut(document, reportBegins+"\n")
	_, after, ends := strings.Cut(rest, reportEnds+"\n")
	if !begins || !ends {
		return "", fmt.Errorf("it has no lines %q and %q, in this order, for the report to lie between", reportBegins, reportEnds)
	}
	return before + reportBegins + "\n\n" + strings.TrimRight(report, "\n") + "\n\n" + reportEnds + "\n" + after, nil
}
