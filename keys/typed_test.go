package keys

import (
	"errors"
	"net/url"
	"regexp"
	"testing"
)

type page[T any] struct{ Items []T }

// URL has the name of url.URL.
type URL struct{}

func TestOf(t *testing.T) {
	digest := regexp.MustCompile(`@[0-9a-f]{16}-ByID-42$`)
	seen := make(map[string]string)
	for _, tc := range []struct {
		name, short, got string
	}{
		{"own type", "URL", Of[URL]("ByID", 42)},
		{"type of its name elsewhere", "URL", Of[url.URL]("ByID", 42)},
		{"pointer", "URL", Of[*URL]("ByID", 42)},
		{"list", "URL", Of[[]URL]("ByID", 42)},
		{"array", "URL", Of[[2]URL]("ByID", 42)},
		{"longer array", "URL", Of[[3]URL]("ByID", 42)},
		{"map", "URL", Of[map[string]URL]("ByID", 42)},
		{"other map", "URL", Of[map[int]URL]("ByID", 42)},
		{"generic", "page", Of[page[URL]]("ByID", 42)},
		{"generic of its name elsewhere", "page", Of[page[url.URL]]("ByID", 42)},
		{"list of a predeclared type", "string", Of[[]string]("ByID", 42)},
	} {
		if loc := digest.FindStringIndex(tc.got); loc == nil || tc.got[:loc[0]] != tc.short {
			t.Errorf("%s: got %q, want %s@digest-ByID-42", tc.name, tc.got, tc.short)
		}
		if other, ok := seen[tc.got]; ok {
			t.Errorf("%s and %s: got one key %q", tc.name, other, tc.got)
		}
		seen[tc.got] = tc.name
	}
	if got, want := Of[string]("ByID", 42), "string-ByID-42"; got != want {
		t.Errorf("predeclared type: got %q, want %q", got, want)
	}
	if got, want := Of[error]("ByID"), "error-ByID"; got != want {
		t.Errorf("predeclared interface: got %q, want %q", got, want)
	}
	if got, want := For[URL]("ByID").With(42), Of[URL]("ByID", 42); got != want {
		t.Errorf("For: got %q, want %q", got, want)
	}
}

// What a released version wrote must be found by the next.
func TestTypeNamesAreStable(t *testing.T) {
	if got, want := Of[url.URL]("ByID"), "URL@d19722eb3950257e-ByID"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOfRefusesTypesWithoutName(t *testing.T) {
	for name, call := range map[string]func(){
		"struct":         func() { Of[struct{ A int }]("x") },
		"function":       func() { For[func()]("x") },
		"interface":      func() { For[interface{ M() }]("x") },
		"map of structs": func() { For[map[struct{ A int }]int]("x") },
	} {
		err, _ := panicOf(call).(error)
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || unsupported.Reason != "has no name" {
			t.Errorf("%s: got %v, want an UnsupportedError", name, err)
		}
	}
}

func TestTypeNamesOfPackageMainArePlain(t *testing.T) {
	for _, tc := range []struct{ full, short, want string }{
		{"main.Product", "Product", "Product"},
		{"*main.Product", "Product", "Product@aaaa"},
		{"example.com/main.Product", "Product", "Product@aaaa"},
	} {
		got := uniqueName(tc.full, tc.short)
		if i := len("Product@"); len(tc.want) > i && len(got) == i+16 {
			got = got[:i] + "aaaa"
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.full, got, tc.want)
		}
	}
}
