package config

import "strings"

// longestKey bounds the length in bytes of what is looked at as a misspelt key.
const longestKey = 40

// nearest returns the key that somebody who wrote word under the table at key may have meant, dotted; "" for none.
// A name that stands elsewhere in the grammar is likelier meant than one that is spelled alike.
func nearest(root, here *field, at, word string) string {
	if len(word) > longestKey {
		return ""
	}
	if p := elsewhere(root, word, ""); p != "" {
		return p
	}
	best, distance := "", len(word)/3+2
	for _, f := range here.fields {
		if d := editDistance(strings.ToLower(word), f.name); d < distance {
			best, distance = dotted(at, f.name), d
		}
	}
	return best
}

// elsewhere is the place of a key in the grammar, by its last name; those of the elements of lists are no places.
func elsewhere(f *field, word, at string) string {
	for i := range f.fields {
		sub := &f.fields[i]
		key := dotted(at, sub.name)
		if strings.EqualFold(sub.name, word) {
			return key
		}
		if p := elsewhere(sub, word, key); p != "" {
			return p
		}
	}
	return ""
}

// editDistance is how many letters have to be added, dropped, changed or swapped with their neighbour.
func editDistance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
