package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheSameTreeEachTime(t *testing.T) {
	small := tree{files: 50, bytes: 50 * 400, perDir: 7}
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := small.generate(dir); err != nil {
			t.Fatal(err)
		}
	}
	files := 0
	err := filepath.WalkDir(a, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		rel, _ := filepath.Rel(a, p)
		one, err1 := os.ReadFile(p)
		two, err2 := os.ReadFile(filepath.Join(b, rel))
		if err1 != nil || err2 != nil || !bytes.Equal(one, two) || len(one) != 400 {
			t.Errorf("%s: %d bytes and %d, %v, %v", rel, len(one), len(two), err1, err2)
		}
		return nil
	})
	if err != nil || files != small.files {
		t.Errorf("%d files, %v; want %d", files, err, small.files)
	}
}

func TestSourceLikeSizesHaveTheirSum(t *testing.T) {
	t1, sum := trees()["T1"], int64(0)
	for i := range t1.files {
		sum += sourceLike(i, t1.bytes/int64(t1.files))
	}
	if sum < t1.bytes*95/100 || sum > t1.bytes*105/100 {
		t.Errorf("%d bytes; want about %d", sum, t1.bytes)
	}
}

func TestQuantiles(t *testing.T) {
	samples := []time.Duration{5, 1, 4, 2, 3}
	if got := quantile(samples, 0.5); got != 3 {
		t.Errorf("median %d, want 3", got)
	}
	if got := quantile(samples, 0.95); got != 5 {
		t.Errorf("p95 %d, want 5", got)
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("of nothing: %d, want 0", got)
	}
}

func TestTableHasRatiosToTheFirstOfItsTree(t *testing.T) {
	var out strings.Builder
	writeTable(&out, "start", []result{
		{"start", "ext4", "T1", "cp -a", []time.Duration{2 * time.Second}, ""},
		{"start", "ext4", "T1", "alca-mount", []time.Duration{time.Second}, ""},
		{"start", "ext4", "T2", "cp -a", nil, "broken | it is"},
	})
	for _, want := range []string{"| ext4 | T1 | alca-mount | 1.00 s | 0.50 |  |", "| ext4 | T2 | cp -a | – | – | broken / it is |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line %q in:\n%s", want, &out)
		}
	}
}

func TestPlotIsXML(t *testing.T) {
	plot := xml.NewDecoder(strings.NewReader(plotOf([]point{{files: 10_000, build: time.Second}, {files: 1_000_000, build: 100 * time.Second}})))
	for {
		if _, err := plot.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestReportTakesThePlaceOfTheOneBefore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	page := "# Page\n\n" + reportBegins + "\n\nold\n\n" + reportEnds + "\n\nbelow\n"
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, plot := range []string{"<svg/>", ""} { // the second time the plot of the first stays
		if err := updateDocument(file, "new\n", plot); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		want := "# Page\n\n" + reportBegins + "\n\nnew\n\n![Time and memory against the number of files](page.svg)\n\n" + reportEnds + "\n\nbelow\n"
		if err != nil || string(got) != want {
			t.Errorf("%v, %q, want %q", err, got, want)
		}
	}
}

func TestDocumentWithoutAPlaceForTheReportIsLeftAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	for _, page := range []string{"# Page\n", reportEnds + "\n" + reportBegins + "\n"} {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		err := updateDocument(file, "new\n", "")
		if got, readErr := os.ReadFile(file); err == nil || readErr != nil || string(got) != page {
			t.Errorf("%v, %v, %q, want %q as it was and an error", err, readErr, got, page)
		}
		if _, err := parse([]string{"-doc", file}); err == nil {
			t.Error("it is measured for half an hour before anybody says that there is no place for it")
		}
	}
}

func TestTheProjectsPageHasAPlaceForTheReport(t *testing.T) {
	if _, err := parse([]string{"-doc", filepath.Join("..", "docs", "performance.md")}); err != nil {
		t.Error(err)
	}
}

func TestWholeTakesTheTreesAskedFor(t *testing.T) {
	for asked, want := range map[string]string{"T1,T2,big": "T1,T2", "T2": "T2", "big": ""} {
		if got := strings.Join(wholeTrees(strings.Split(asked, ",")), ","); got != want {
			t.Errorf("asked for %s: %s", asked, got)
		}
	}
}
