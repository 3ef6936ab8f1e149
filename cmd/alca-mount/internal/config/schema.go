package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"time"
)

// Schema is the JSON schema (draft 7) of a configuration file, for editors, made of the tags of [Config].
func Schema() ([]byte, error) {
	g := grammar()
	s := schemaOf(&g)
	s["$schema"] = "http://json-schema.org/draft-07/schema#"
	s["title"] = "alca-mount configuration: .alca.toml, or config.toml of a user"
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(s)
	return b.Bytes(), err
}

type object = map[string]any

func schemaOf(f *field) object {
	s := typeOf(f)
	if len(f.enum) > 0 {
		s["enum"] = f.enum
	}
	if f.doc != "" {
		s["description"] = f.doc
	}
	return s
}

func typeOf(f *field) object {
	switch f.typ {
	case reflect.TypeFor[time.Duration]():
		return object{"type": "string", "pattern": `^[0-9].*(ns|us|µs|ms|s|m|h|d)$|^0$`}
	case reflect.TypeFor[Size]():
		return object{"type": []string{"string", "integer"}}
	case reflect.TypeFor[Env]():
		return object{"oneOf": []object{{"type": "string"}, {"const": true}}}
	case reflect.TypeFor[Mount]():
		return object{"oneOf": []object{tableSchema(f), {"type": "string", "pattern": "^[^:]+:[^:]+(:(ro|rw))?$"}}}
	}
	switch f.typ.Kind() {
	case reflect.Struct:
		return tableSchema(f)
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schemaOf(f.elem), "propertyNames": object{"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}}
	case reflect.Slice:
		list := object{"type": "array", "items": schemaOf(f.elem)}
		if f.one {
			return object{"oneOf": []object{list, {"type": "string"}}}
		}
		return list
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int:
		return object{"type": "integer", "minimum": 1}
	case reflect.Float64:
		return object{"type": "number", "exclusiveMinimum": 0}
	}
	return textSchema(f)
}

func tableSchema(f *field) object {
	properties, required := object{}, []string{}
	for i := range f.fields {
		properties[f.fields[i].name] = schemaOf(&f.fields[i])
		if f.fields[i].need {
			required = append(required, f.fields[i].name)
		}
	}
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func textSchema(f *field) object {
	s := object{"type": "string"}
	switch f.as {
	case "pattern":
		s["pattern"] = "^[^!]"
	case "agent":
		s["pattern"] = "^[A-Za-z0-9_-]+$"
	}
	if len(f.enum) == 0 && s["pattern"] == nil {
		s["minLength"] = 1
	}
	return s
}
