package region_test

import (
	"context"
	"errors"
	htmltemplate "html/template"
	"strings"
	"testing"
	texttemplate "text/template"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	"github.com/larder-go/larder/memory"
	"github.com/larder-go/larder/region"
)

type product struct{ ID int }

type page[T any] struct{ Rows []T }

func open(t testing.TB) (*memory.Cache, *region.Registry) {
	t.Helper()
	c, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	r, err := region.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return c, r
}

// set stores an entry that depends on token under key.
func set(t *testing.T, c cache.Cache, key string, tokens ...cache.Token) {
	t.Helper()
	if err := c.Set(t.Context(), key, []byte("v"), cache.EntryOptions{Tokens: tokens}); err != nil {
		t.Fatalf("Set: %v", err)
	}
}

func want(t *testing.T, c cache.Cache, live string, dead ...string) {
	t.Helper()
	for _, key := range strings.Fields(live) {
		if _, found, err := c.Get(t.Context(), key); !found || err != nil {
			t.Errorf("%s: got %v, %v, want a hit", key, found, err)
		}
	}
	for _, key := range dead {
		if _, found, err := c.Get(t.Context(), key); found || err != nil {
			t.Errorf("%s: got %v, %v, want a miss", key, found, err)
		}
	}
}

func TestExpiringReachesWhatDependsOnIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		expire func(ctx context.Context, r *region.Registry) error
		live   string
		dead   []string
	}{
		{"key", func(ctx context.Context, r *region.Registry) error { return r.Named("shop").ExpireKey(ctx, "7") },
			"free shop shop8 typed", []string{"shop7"}},
		{"region", func(ctx context.Context, r *region.Registry) error { return r.Named("shop").Expire(ctx) },
			"free typed", []string{"shop", "shop7", "shop8"}},
		{"global", func(ctx context.Context, r *region.Registry) error { return r.Global().Expire(ctx) },
			"free", []string{"shop", "shop7", "shop8", "typed"}},
		{"typed", func(ctx context.Context, r *region.Registry) error { return region.Of[*product](r).Expire(ctx) },
			"free shop shop7 shop8", []string{"typed"}},
		{"several", func(ctx context.Context, r *region.Registry) error {
			return r.Expire(ctx, r.Named("shop").TokenForKey("7"), region.Of[product](r).Token())
		}, "free shop shop8", []string{"shop7", "typed"}},
		{"another key", func(ctx context.Context, r *region.Registry) error { return r.Named("shop").ExpireKey(ctx, "77") },
			"free shop shop7 shop8 typed", nil},
		{"upper case", func(ctx context.Context, r *region.Registry) error { return r.Named("Shop").Expire(ctx) },
			"free shop shop7 shop8 typed", nil},
		{"a prefix", func(ctx context.Context, r *region.Registry) error { return r.Named("sho").Expire(ctx) },
			"free shop shop7 shop8 typed", nil},
		{"nothing", func(ctx context.Context, r *region.Registry) error { return r.Expire(ctx) },
			"free shop shop7 shop8 typed", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, r := open(t)
			shop := r.Named("shop")
			set(t, c, "free")
			set(t, c, "shop", shop.Token())
			set(t, c, "shop7", shop.TokenForKey("7"))
			set(t, c, "shop8", shop.TokenForKey("8"))
			set(t, c, "typed", region.Of[product](r).TokenForKey("7"))
			if err := tt.expire(t.Context(), r); err != nil {
				t.Fatalf("expire: %v", err)
			}
			want(t, c, tt.live, tt.dead...)
		})
	}
}

// Two registries of one cache have the same regions: nothing is kept in them.
func TestRegistriesOfOneCacheShareRegions(t *testing.T) {
	c, one := open(t)
	other, err := region.New(cachetest.Watched(c))
	if err != nil {
		t.Fatal(err)
	}
	set(t, c, "k", one.Named("shop").TokenForKey("7"))
	if err := other.Named("shop").ExpireKey(t.Context(), "7"); err != nil {
		t.Fatal(err)
	}
	want(t, c, "", "k")
}

func TestDistinctRegionsHaveDistinctTokens(t *testing.T) {
	_, r := open(t)
	long := func(end string) region.Region { return r.Named(strings.Repeat("a", region.MaxName-1) + end) }
	all := map[string]cache.Token{
		"text template":    region.Of[texttemplate.Template](r).Token(),
		"html template":    region.Of[htmltemplate.Template](r).Token(),
		"page of text":     region.Of[page[texttemplate.Template]](r).Token(),
		"page of html":     region.Of[page[htmltemplate.Template]](r).Token(),
		"texts":            region.Of[[]texttemplate.Template](r).Token(),
		"htmls":            region.Of[[]htmltemplate.Template](r).Token(),
		"pointers":         region.Of[[]*htmltemplate.Template](r).Token(),
		"array":            region.Of[[2]htmltemplate.Template](r).Token(),
		"map":              region.Of[map[string]htmltemplate.Template](r).Token(),
		"channel":          region.Of[chan htmltemplate.Template](r).Token(),
		"struct of text":   region.Of[struct{ T texttemplate.Template }](r).Token(),
		"struct of html":   region.Of[struct{ T htmltemplate.Template }](r).Token(),
		"func of text":     region.Of[func(...texttemplate.Template) error](r).Token(),
		"func of html":     region.Of[func(...htmltemplate.Template) error](r).Token(),
		"interface":        region.Of[interface{ F(texttemplate.Template) }](r).Token(),
		"other interface":  region.Of[interface{ F(htmltemplate.Template) }](r).Token(),
		"string":           region.Of[string](r).Token(),
		"error":            region.Of[error](r).Token(),
		"any":              region.Of[any](r).Token(),
		"named string":     r.Named("string").Token(),
		"named as typed":   r.Named("type:string").Token(),
		"named as named":   r.Named("name:string").Token(),
		"with a colon":     r.Named("a:b").Token(),
		"with a key":       r.Named("a").TokenForKey("b"),
		"with other key":   r.Named("a").TokenForKey("b:c"),
		"with other parts": r.Named("a:b").TokenForKey("c"),
		"upper case":       r.Named("A").Token(),
		"lower case":       r.Named("a").Token(),
		"long":             long("a").Token(),
		"long too":         long("b").Token(),
		"global":           r.Global().Token(),
	}
	seen := make(map[cache.Token]string)
	for name, token := range all {
		if other, again := seen[token]; again {
			t.Errorf("%s and %s have one token", name, other)
		}
		seen[token] = name
		if err := token.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if region.Of[**product](r) != region.Of[product](r) {
		t.Error("a pointer's region is another than that of what it points to")
	}
}

// Type arguments nest, so a type's name can be of any length.
func TestLongTypeNamesAreShortened(t *testing.T) {
	_, r := open(t)
	type (
		p4 = page[page[page[page[htmltemplate.Template]]]]
		q4 = page[page[page[page[texttemplate.Template]]]]
		p8 = page[page[page[page[p4]]]]
		q8 = page[page[page[page[q4]]]]
		p  = page[page[page[page[p8]]]]
		q  = page[page[page[page[q8]]]]
	)
	one, other := region.Of[p](r).Token(), region.Of[q](r).Token()
	if one == other || one.Check() != nil || other.Check() != nil {
		t.Errorf("got one token: %v, %v, %v, want two valid ones", one == other, one.Check(), other.Check())
	}
}

func TestBadInput(t *testing.T) {
	c, r := open(t)
	set(t, c, "k", r.Named("shop").TokenForKey("7"))
	var none *region.Registry
	long := strings.Repeat("a", cache.MaxTokenLength+1)
	for _, tt := range []struct {
		name string
		do   func(ctx context.Context) error
		want error
	}{
		{"empty name", r.Named("").Expire, cache.ErrInvalidToken},
		{"long name", r.Named(long).Expire, cache.ErrInvalidToken},
		{"key of an empty name", func(ctx context.Context) error { return r.Named("").ExpireKey(ctx, "7") }, cache.ErrInvalidToken},
		{"empty key", func(ctx context.Context) error { return r.Named("shop").ExpireKey(ctx, "") }, cache.ErrInvalidToken},
		{"long key", func(ctx context.Context) error { return r.Named("shop").ExpireKey(ctx, long) }, cache.ErrInvalidToken},
		{"key of global", func(ctx context.Context) error { return r.Global().ExpireKey(ctx, "7") }, cache.ErrInvalidToken},
		{"one bad of two", func(ctx context.Context) error {
			return r.Expire(ctx, r.Named("shop").Token(), r.Named("").Token())
		}, cache.ErrInvalidToken},
		{"nil registry", none.Named("shop").Expire, cache.ErrInvalidConfig},
		{"nil registry, typed", region.Of[product](none).Expire, cache.ErrInvalidConfig},
		{"zero registry", new(region.Registry).Global().Expire, cache.ErrInvalidConfig},
		{"zero region", region.Region{}.Expire, cache.ErrInvalidConfig},
		{"nil context", func(context.Context) error { return r.Named("shop").Expire(nil) }, cache.ErrNilContext}, //nolint:staticcheck // the input under test
		{"storing", func(ctx context.Context) error {
			return c.Set(ctx, "other", []byte("v"), cache.EntryOptions{Tokens: []cache.Token{r.Named("").Token()}})
		}, cache.ErrInvalidToken},
	} {
		err := tt.do(t.Context())
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "shop") {
			t.Errorf("%s: the error names the region: %v", tt.name, err)
		}
	}
	want(t, c, "k", "other")
}

func TestNewNeedsACacheWithRegions(t *testing.T) {
	for name, c := range map[string]cache.Cache{"nil": nil, "a nil pointer": (*memory.Cache)(nil)} {
		if _, err := region.New(c); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("%s: got %v, want ErrInvalidConfig", name, err)
		}
	}
	plain := struct{ cache.Cache }{}
	if _, err := region.New(plain); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a cache without regions: got %v, want ErrUnsupported", err)
	}
}
