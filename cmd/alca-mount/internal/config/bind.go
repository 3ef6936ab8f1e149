package config

import "reflect"

// bind fills v, of the type that f describes, with what a checked node says.
func bind(n *node, f *field, v reflect.Value) {
	if n == nil {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch {
	case len(f.fields) > 0:
		for i := range f.fields {
			bind(n.table[f.fields[i].name], &f.fields[i], v.Field(f.fields[i].index))
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), len(n.elems), len(n.elems)))
		for i, e := range n.elems {
			bind(e, f.elem, v.Index(i))
		}
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for k, e := range n.table {
			v.SetMapIndex(reflect.ValueOf(k), reflect.ValueOf(e.value))
		}
	default:
		v.Set(reflect.ValueOf(n.value).Convert(v.Type()))
	}
}
