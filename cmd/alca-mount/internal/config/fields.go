package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// field is what may stand under a key, as the tags of [Config] say.
type field struct {
	name   string
	as     string
	in     string
	doc    string
	enum   []string
	one    bool
	need   bool
	typ    reflect.Type // without the pointer that tells "not said" from zero
	index  int          // of the Go field
	fields []field      // of a table
	elem   *field       // of a list, or of a table with free keys
}

// grammar is the grammar of a file.
func grammar() field {
	return describe(reflect.TypeFor[Config](), "")
}

func describe(t reflect.Type, tag reflect.StructTag) field {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	f := field{
		name: tag.Get("toml"), as: tag.Get("as"), in: tag.Get("in"), doc: tag.Get("doc"), enum: strings.Fields(tag.Get("enum")),
		one: tag.Get("one") != "", need: tag.Get("need") != "", typ: t,
	}
	switch {
	case t == reflect.TypeFor[Env]():
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			sub := describe(t.Field(i).Type, t.Field(i).Tag)
			sub.index = i
			f.fields = append(f.fields, sub)
		}
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Map:
		elem := describe(t.Elem(), reflect.StructTag(fmt.Sprintf("as:%q", f.as)))
		f.elem = &elem
	}
	return f
}

// get returns the field of a table under key, or nil.
func (f *field) get(key string) *field {
	for i := range f.fields {
		if f.fields[i].name == key {
			return &f.fields[i]
		}
	}
	return nil
}

// expected says what a value must be, for an error.
func (f *field) expected() string {
	switch {
	case len(f.enum) > 0:
		return "one of " + quoted(f.enum)
	case f.typ == reflect.TypeFor[time.Duration]():
		return `a time such as "500ms", "10s" or "30d"`
	case f.typ == reflect.TypeFor[Size]():
		return `a size such as "512m" or "4g"`
	case f.typ == reflect.TypeFor[Env]():
		return `a text, or true to pass your own value on`
	case f.typ == reflect.TypeFor[Mount]():
		return `a table with source and target, or a text "SOURCE:TARGET[:ro]"`
	}
	switch f.typ.Kind() {
	case reflect.Slice:
		if f.one {
			return "a text or a list of texts"
		}
		if f.elem.typ.Kind() == reflect.String {
			return "a list of texts"
		}
		return "a list of tables or texts"
	case reflect.Struct, reflect.Map:
		return table.String()
	case reflect.Bool:
		return boolean.String()
	case reflect.Int:
		return integer.String()
	case reflect.Float64:
		return "a number"
	}
	return text.String()
}

func quoted(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(out, ", ")
}

func dotted(key, name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" || name == "" {
		name = fmt.Sprintf("%q", name)
	}
	if key == "" {
		return name
	}
	return key + "." + name
}

func indexed(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }
