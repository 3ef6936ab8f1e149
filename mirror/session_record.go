package mirror

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// maxRecord is the size above which a session.json is not read: no real one comes near it.
const maxRecord = 64 << 20

// encodeRecord gives a record as JSON. Paths and patterns are bytes, JSON is UTF-8: escapeBytes keeps them whole.
func encodeRecord(r Record) ([]byte, error) {
	r.Format = SessionFormat
	data, err := json.MarshalIndent(mapStrings(reflect.ValueOf(r), escapeBytes).Interface(), "", "  ")
	return append(data, '\n'), err
}

// decodeRecord reads what encodeRecord wrote. The error wraps ErrNewerFormat or says what is wrong.
func decodeRecord(data []byte) (Record, error) {
	var head struct {
		Format int    `json:"format"`
		ID     string `json:"id"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Record{}, err
	}
	if head.Format > SessionFormat {
		return Record{}, fmt.Errorf("%w (format %d, this one reads up to %d)", ErrNewerFormat, head.Format, SessionFormat)
	}
	if head.Format < 1 || head.ID == "" {
		return Record{}, errors.New("no format or id in it")
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, err
	}
	return mapStrings(reflect.ValueOf(r), unescapeBytes).Interface().(Record), nil
}

// readRecord reads the record of the session folder dir and checks that it belongs there.
func readRecord(dir string) (Record, error) {
	r, err := readRecordFile(filepath.Join(dir, recordName), dir)
	if err == nil && r.State == SessionBuilding {
		if y, found := readUnsettled(dir); found {
			return y, nil
		}
	}
	return r, err
}

func readRecordFile(file, dir string) (Record, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return Record{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRecord {
		return Record{}, fmt.Errorf("%s: not a session file", file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return Record{}, err
	}
	r, err := decodeRecord(data)
	if err != nil {
		return Record{}, fmt.Errorf("%s: %w", file, err)
	}
	return r, checkPlace(r, dir)
}

// checkPlace refuses a record that was moved or edited: what is done with a session (its mirror is removed, files are
// written to its project) rests on these three.
func checkPlace(r Record, dir string) error {
	switch {
	case r.ID != filepath.Base(dir):
		return fmt.Errorf("%s: it is of session %q", filepath.Join(dir, recordName), r.ID)
	case projectFolder(r.Project) != filepath.Base(filepath.Dir(filepath.Dir(dir))):
		return fmt.Errorf("%s: it is of another project, %q", filepath.Join(dir, recordName), r.Project)
	case r.Mirror != "" && !filepath.IsAbs(r.Mirror):
		return fmt.Errorf("%s: the mirror's path %q is not absolute", filepath.Join(dir, recordName), r.Mirror)
	}
	return nil
}

// mapStrings returns a copy of v with f applied to each string in it.
func mapStrings(v reflect.Value, f func(string) string) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch {
	case v.Kind() == reflect.String:
		out.SetString(f(v.String()))
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			out.Field(i).Set(mapStrings(v.Field(i), f))
		}
	case v.Kind() == reflect.Slice && !v.IsNil():
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		fallthrough
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			out.Index(i).Set(mapStrings(v.Index(i), f))
		}
	default:
		out.Set(v)
	}
	return out
}

// escaped is the first of 256 private-use code points that stand for bytes which are not UTF-8.
const escaped = 0x10FF00

// escapeBytes makes any string valid UTF-8, reversibly: a byte that is not UTF-8, and each byte of a code point in
// the escape range itself, becomes one code point of that range.
func escapeBytes(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if (r != utf8.RuneError || n > 1) && !inEscape(r) {
			b.WriteString(s[i : i+n])
		} else {
			for _, c := range []byte(s[i : i+n]) {
				b.WriteRune(escaped + rune(c))
			}
		}
		i += n
	}
	return b.String()
}

func unescapeBytes(s string) string {
	var b strings.Builder
	for _, r := range s {
		if inEscape(r) {
			b.WriteByte(byte(r - escaped))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func inEscape(r rune) bool { return r >= escaped && r <= escaped+0xFF }
