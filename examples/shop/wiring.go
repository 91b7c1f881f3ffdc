package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/inspect"
	"github.com/larder-go/larder/keys"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/region"
)

// config says where the shop's data and its cache are.
type config struct {
	redis    string // URL; "": a cache in memory
	postgres string // DSN; "": SQLite
	sqlite   string // file; "": one of its own
	queue    string // where it is; "": see queuePlace
	delay    time.Duration
	totals   time.Duration // from which age the views that pages show are refreshed; 0: a second
}

// databaseID tells databases apart: what was cached of one is not to be taken for
// another's.
func (c config) databaseID() string {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%q %q", c.postgres, c.sqlite)
	return strconv.FormatUint(h.Sum64(), 36)
}

// shop is everything put together.
type shop struct {
	database  *database
	cache     cache.Backend
	inspector *inspect.Inspector
	events    events
	shared    bool // with other instances

	products  *switched[Product]
	customers *switched[Customer]
	stock     *switched[Stock]
	views     *switched[Views]

	// What the pages write through: the above, with an event for each write.
	editProducts  *patterns.Hooked[int, Product]
	editCustomers *patterns.Hooked[int, Customer]
	editStock     *patterns.Hooked[int, Stock]

	lists  *patterns.Query[listing, int, Product]
	people *patterns.Query[string, int, Customer]

	// totals are the views as the pages show them: see wireViews.
	totals *cache.Loading[int, Views]

	categories, productSearch, customerSearch region.Region

	closers []func(ctx context.Context) error // the last first
}

// listing are the parameters of a list of products: a category, "" for all, and
// what to search for.
type listing struct{ Category, Search string }

// openShop opens the database and the cache, and wires the rest. Close it, also
// after an error.
func openShop(ctx context.Context, c config) (s *shop, err error) {
	s = &shop{shared: c.redis != ""}
	if err := s.openDatabase(c); err != nil {
		return s, err
	}
	source := newSources(s.database)
	if err := s.database.create(ctx, source); err != nil {
		return s, fmt.Errorf("the database: %w", err)
	}
	s.database.delay.Store(int64(c.delay))
	if err := s.openCache(c); err != nil {
		return s, err
	}
	for _, wire := range []func(context.Context, config, *sources) error{
		s.wireCatalogue, s.wireCustomers, s.wireStock, s.wireViews, s.addPanels,
	} {
		if err := wire(ctx, c, source); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *shop) openDatabase(c config) (err error) {
	file := c.sqlite
	switch {
	case c.postgres != "":
		s.database, err = openPostgres(c.postgres)
	case file == "" && s.shared: // one that all instances on this machine find
		file = filepath.Join(os.TempDir(), "larder-shop.db")
		s.database, err = openSQLite(file)
	case file == "":
		dir, dirErr := os.MkdirTemp("", "larder-shop")
		if dirErr != nil {
			return dirErr
		}
		s.onClose(func(context.Context) error { return os.RemoveAll(dir) })
		s.database, err = openSQLite(filepath.Join(dir, "shop.db"))
	default:
		s.database, err = openSQLite(file)
	}
	if err == nil {
		s.onClose(func(context.Context) error { return s.database.db.Close() })
	}
	return err
}

// openCache opens a cache in memory, or one on Redis with what was read held in
// memory, too. Which one it is makes no difference to all the rest.
func (s *shop) openCache(c config) (err error) {
	if s.inspector, err = inspect.New(&inspect.Options{
		Authorize: fromHere, Title: "shop", Interval: time.Second, ShowKeys: true,
	}); err != nil {
		return err
	}
	s.onClose(s.inspector.Close)
	address := "memory://"
	if c.redis != "" {
		if address, err = withNear(c.redis); err != nil {
			return err
		}
	}
	s.cache, err = larder.Open(address, &larder.Options{
		Prefix:   "larder-shop:" + c.databaseID() + ":",
		Defaults: cache.EntryOptions{TTL: 10 * time.Minute},
		Observer: s.inspector.ObserverOf("shop"),
	})
	if err != nil {
		return err
	}
	s.onClose(s.cache.Close)
	regions, err := region.New(s.cache)
	if err != nil {
		return err
	}
	s.categories = regions.Named("category")
	s.productSearch = regions.Named("product-search")
	s.customerSearch = regions.Named("customer-search")
	return s.inspector.Add(inspect.Source{Name: "shop", Cache: s.cache, Regions: []inspect.Region{
		{Name: "categories", Token: s.categories.Token()},
		{Name: "product search", Token: s.productSearch.Token()},
		{Name: "customer search", Token: s.customerSearch.Token()},
	}})
}

// withNear adds near=bounded to a Redis URL that says nothing about it.
func withNear(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("-redis is no URL such as redis://localhost:6379")
	}
	q := u.Query()
	if !q.Has("near") {
		q.Set("near", "bounded")
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// wireCatalogue makes the products: read much, edited now and then, and shown in
// lists. An edit expires the lists of its category, the old one and the new one,
// and all searches.
func (s *shop) wireCatalogue(_ context.Context, _ config, source *sources) (err error) {
	s.products, err = newSwitched(s.cache, "catalogue", source.products, &source.products.reads, patterns.Entity[int, Product]{
		Dependents: func(_ int, p Product) []cache.Token {
			return []cache.Token{s.categories.TokenForKey(p.Category), s.productSearch.Token()}
		},
	})
	if err != nil {
		return err
	}
	if err := s.products.addThrough(); err != nil {
		return err
	}
	s.products.pattern = aside
	if s.editProducts, err = patterns.NewHooked(s.products, told[Product](s, "product")); err != nil {
		return err
	}
	s.lists, err = patterns.NewQuery(s.cache, s.products, func(ctx context.Context, l listing) ([]int, error) {
		return source.products.ids(ctx, "($1 = '' OR category = $1) AND LOWER(name) LIKE $2 ORDER BY name, id LIMIT 100", l.Category, like(l.Search))
	}, patterns.QueryOptions[listing, int]{
		Name:      "products",
		Normalize: func(l listing) listing { return listing{l.Category, normal(l.Search)} },
		Tokens: func(l listing) []cache.Token {
			if l.Category != "" {
				return []cache.Token{s.categories.TokenForKey(l.Category)}
			}
			return []cache.Token{s.productSearch.Token()}
		},
	})
	return err
}

func (s *shop) wireCustomers(_ context.Context, _ config, source *sources) (err error) {
	s.customers, err = newSwitched(s.cache, "customers", source.customers, &source.customers.reads, patterns.Entity[int, Customer]{
		Dependents: func(int, Customer) []cache.Token { return []cache.Token{s.customerSearch.Token()} },
	})
	if err != nil {
		return err
	}
	if err := s.customers.addThrough(); err != nil {
		return err
	}
	s.customers.pattern = aside
	if s.editCustomers, err = patterns.NewHooked(s.customers, told[Customer](s, "customer")); err != nil {
		return err
	}
	s.people, err = patterns.NewQuery(s.cache, s.customers, func(ctx context.Context, search string) ([]int, error) {
		return source.customers.ids(ctx, "LOWER(name) LIKE $1 OR LOWER(city) LIKE $1 ORDER BY name, id LIMIT 100", like(search))
	}, patterns.QueryOptions[string, int]{
		Name:      "customers",
		Normalize: normal,
		Tokens:    func(string) []cache.Token { return []cache.Token{s.customerSearch.Token()} },
	})
	return err
}

// wireStock makes the inventory: whoever buys something looks at what is left
// right away, so a write leaves its value in the cache.
func (s *shop) wireStock(_ context.Context, _ config, source *sources) (err error) {
	s.stock, err = newSwitched(s.cache, "inventory", source.stock, &source.stock.reads, patterns.Entity[int, Stock]{})
	if err != nil {
		return err
	}
	if err := s.stock.addThrough(); err != nil {
		return err
	}
	s.editStock, err = patterns.NewHooked(s.stock, told[Stock](s, "stock of product"))
	return err
}

// wireViews makes the view counts: one write for each page that is looked at,
// which is more than the database likes. They wait in a queue, merged into one
// sum for each product.
//
// What the pages show of them need not be exact. It is an entry of its own, so
// that a new view does not end it: from the age of a second it is refreshed in the
// background, at five it is over; but while the database is down the last one known
// is shown.
func (s *shop) wireViews(ctx context.Context, c config, source *sources) (err error) {
	s.views, err = newSwitched(s.cache, "views", source.views, &source.views.reads, patterns.Entity[int, Views]{
		Typed: cache.TypedOptions[Views]{NegativeTTL: time.Minute}, // that nobody has seen a product
	})
	if err != nil {
		return err
	}
	q, err := s.openQueue(ctx, c, "views")
	if err != nil {
		return err
	}
	err = s.views.addBehind(ctx, q, patterns.WriteBehindOptions[int, Views]{
		Merge:      func(older, newer Views) Views { return Views{newer.ID, older.Count + newer.Count} },
		MaxBackoff: time.Second,         // so that a started database is noticed soon
		WhenFull:   patterns.FullReject, // a view is not worth waiting for
		OnDead: func(_ context.Context, l patterns.DeadLetter[int, Views]) {
			s.events.add("%d views of product %d are a dead letter: %s", l.Value.Count, l.ID, l.Reason)
		},
		OnError: func(_ context.Context, err error) { s.events.add("queue: %v", err) },
	})
	if err != nil {
		return err
	}
	s.onClose(s.views.queue.Close)
	fresh := cmp.Or(c.totals, time.Second)
	s.totals = cache.NewLoading(s.cache, func(ctx context.Context, id int, _ *cache.Entry) (Views, error) {
		found, err := s.loadTotals(ctx, []int{id})
		return found[id], err
	}, &cache.LoadingOptions[int, Views]{
		TypedOptions: cache.TypedOptions[Views]{
			Defaults:  cache.EntryOptions{TTL: 5 * fresh},
			Freshness: cache.Freshness{SoftTTL: fresh, StaleIfError: time.Hour},
		},
		AppendKey: func(dst []byte, id int) []byte { return keys.Append(dst, "ViewTotal", id) },
		LoadMany: func(ctx context.Context, ids []int, _ *cache.Entry) (map[int]Views, error) {
			return s.loadTotals(ctx, ids)
		},
	})
	if s.shared { // one that does not look into the queue would show less
		s.views.order = []string{behind}
		s.views.choices = map[string]repository[Views]{behind: s.views.queue}
	}
	return nil
}

// loadTotals returns the views of ids. A product that nobody has seen has some,
// too: none.
func (s *shop) loadTotals(ctx context.Context, ids []int) (map[int]Views, error) {
	found, err := s.views.FindMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	totals := make(map[int]Views, len(ids))
	for _, id := range ids {
		totals[id] = Views{id, found[id].Count}
	}
	return totals, nil
}

// told makes an event of each write that was acknowledged.
func told[V any](s *shop, what string) patterns.Hooks[int, V] {
	return patterns.Hooks[int, V]{
		OnSaved:   func(_ context.Context, id int, _ V) { s.events.add("%s %d saved", what, id) },
		OnDeleted: func(_ context.Context, id int) { s.events.add("%s %d deleted", what, id) },
	}
}

func (s *shop) onClose(do func(ctx context.Context) error) { s.closers = append(s.closers, do) }

// close ends everything. A write-behind first writes what it has, if the database
// lets it.
func (s *shop) close(ctx context.Context) error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i](ctx))
	}
	s.closers = nil
	return errors.Join(errs...)
}

// normal is what a user's text is searched for as: one form for all that mean the
// same, and so one list in the cache.
func normal(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

func like(text string) string {
	return "%" + strings.NewReplacer("%", "", "_", "").Replace(text) + "%"
}
