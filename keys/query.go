package keys

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// QueryOptions say which queries are the same. nil: those with the same
// parameters and values.
type QueryOptions struct {
	// Fold makes names and values the same that differ in case only, see Fold.
	Fold bool
}

// Query makes a part of a search's parameters: [category=books|page=2]. Neither
// the order of the parameters nor the order of the values of one parameter
// makes a difference; how often a value is given does. Every parameter that
// affects the answer must be in it.
func Query(parameters url.Values, opts *QueryOptions) Part {
	fold := func(s string) string { return s }
	if opts != nil && opts.Fold {
		fold = Fold
	}
	merged := make(map[string][]string, len(parameters)) // by encoded name
	for name, values := range parameters {
		name = string(appendText(nil, fold(name)))
		list := merged[name]
		for _, value := range values {
			list = append(list, string(appendText(nil, fold(value))))
		}
		merged[name] = list
	}
	entries := make([]string, 0, len(merged))
	for name, values := range merged {
		if len(values) == 1 {
			entries = append(entries, name+"="+values[0])
			continue
		}
		slices.Sort(values)
		entries = append(entries, name+"=["+strings.Join(values, "|")+"]")
	}
	return Part{encoded: string(appendRecord(nil, entries))}
}

// ParseQuery is Query of a raw query, as it stands after the ? of a URL. It
// refuses what url.ParseQuery refuses.
func ParseQuery(raw string, opts *QueryOptions) (Part, error) {
	parameters, err := url.ParseQuery(raw)
	if err != nil {
		return Part{}, err
	}
	return Query(parameters, opts), nil
}

// Fold returns the one text that stands for all that differ from text in case
// only, as strings.EqualFold has it: lower case where there is one. Bytes that
// are not UTF-8 stay as they are. It is for identifiers whose store ignores
// case; elsewhere it merges keys that mean different things.
func Fold(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			b.WriteByte(text[i])
		} else {
			b.WriteRune(foldRune(r))
		}
		i += size
	}
	return b.String()
}

// foldRune returns the representative of the letters that r folds to: the lower
// case of the first of them, or that first one if its lower case is none of
// them.
func foldRune(r rune) rune {
	first := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		first = min(first, next)
	}
	lower := unicode.ToLower(first)
	for next := unicode.SimpleFold(first); next != first; next = unicode.SimpleFold(next) {
		if next == lower {
			return lower
		}
	}
	return first
}
