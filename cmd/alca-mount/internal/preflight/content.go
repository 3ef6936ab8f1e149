package preflight

import (
	"bytes"
	"slices"

	"github.com/zricethezav/gitleaks/v8/detect"
)

// reader finds secrets by their files' names, and by what they look like with gitleaks' own rules.
type reader struct {
	book     *book
	detector *detect.Detector
}

func newReader() (*reader, error) {
	d, err := detect.NewDetectorDefaultConfig()
	return &reader{newBook(), d}, err
}

// why says what makes a file look like a secret; "" when nothing does.
func (r *reader) why(path string, content func() []byte) string {
	if why := r.book.byName(path, content); why != "" {
		return why
	}
	if bytes.IndexByte(content(), 0) >= 0 {
		return "" // not text
	}
	return r.secretIn(path, content())
}

// noisy are rules that look for anything random: right often enough to ask, wrong too often to be believed.
func noisy() []string {
	return []string{"generic-api-key", "jwt", "jwt-base64", "curl-auth-header", "curl-auth-user", "hashicorp-tf-password", "private-key", "sourcegraph-access-token"}
}

// secretIn says what secret the content holds; "" when none is known.
func (r *reader) secretIn(path string, content []byte) string {
	//lint:ignore SA1019 the type that is to replace it is not taken yet
	for _, f := range r.detector.Detect(detect.Fragment{Raw: string(content), FilePath: path}) {
		if f.RuleID == "private-key" && !r.book.tests.MatchString(path) {
			return "private key"
		}
		if !slices.Contains(noisy(), f.RuleID) {
			return "holds what looks like a secret (" + f.RuleID + ")"
		}
	}
	return ""
}
