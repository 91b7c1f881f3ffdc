package patterns

import (
	"context"
	"slices"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/keys"
)

// QueryOptions configure a Query.
type QueryOptions[P any, K comparable] struct {
	// Name tells this query from others on the same cache. Required.
	Name string

	// Tokens returns what the list for these parameters depends on. Required, and
	// at least one: Entity.Dependents of what the list shows must return them, too.
	Tokens func(p P) []cache.Token

	// Normalize returns parameters that mean the same in one form: trimmed,
	// folded, sorted, defaults filled in. nil: they are in one form already.
	Normalize func(p P) P

	// Options returns how the list is kept. nil: as Typed.Defaults says.
	Options func(p P, ids []K) cache.EntryOptions

	// Typed configures the typed view of the cache.
	Typed cache.TypedOptions[[]K]
}

// Query is a cached list, or one for each value of its parameters: of type P,
// which keys.Value can name. The list holds ids; the entities are found by them,
// through their own cache. So an update of an entity is seen in every list at once,
// and no list holds an old copy of it.
//
// Which entities are in a list changes when one of its tokens expires: wrappers
// whose Entity.Dependents names them do that. While they write, and if they die
// while they write, a list that was read in between is not stored, nor is another
// until all who wrote with them must be done: for two MarkTTLs, a minute by default.
//
// A list and its entities are not read at one moment: an entity that was deleted
// in between is left out, and one may be shown that has just left the list.
type Query[P any, K comparable, V any] struct {
	cache    cache.Cache
	leaser   cache.Leaser
	entities ManyFinder[K, V]
	ask      func(ctx context.Context, p P) ([]K, error)
	opts     QueryOptions[P, K]
	lists    *cache.Typed[[]K]
}

// NewQuery returns a query that ask answers and whose entities are found through
// entities, mostly a CacheAside or WriteThrough. It needs a cache with
// cache.Regions and cache.Leaser. The error wraps cache.ErrInvalidConfig.
func NewQuery[P any, K comparable, V any](c cache.Cache, entities ManyFinder[K, V], ask func(ctx context.Context, p P) ([]K, error), opts QueryOptions[P, K]) (*Query[P, K, V], error) {
	q := &Query[P, K, V]{cache: c, entities: entities, ask: ask, opts: opts}
	switch {
	case c == nil:
		return nil, refuse("cache", nil, "must not be nil")
	case entities == nil:
		return nil, refuse("entities", nil, "must not be nil")
	case ask == nil:
		return nil, refuse("ask", nil, "must not be nil")
	case opts.Name == "":
		return nil, refuse("QueryOptions.Name", "", "must not be empty")
	case opts.Tokens == nil:
		return nil, refuse("QueryOptions.Tokens", nil, "must not be nil")
	}
	regions, ok := cache.As[cache.Regions](c)
	if !ok {
		return nil, refuse("cache", "one without regions", "needs regions")
	}
	regions.TrackRegions()
	if q.leaser, ok = cache.As[cache.Leaser](c); !ok {
		return nil, refuse("cache", "one without leases", "needs leases")
	}
	q.lists = cache.NewTyped(c, &opts.Typed)
	return q, q.lists.Check()
}

// Find returns the entities of the list for p, in its order. It costs one look-up
// of the list and one of all its entities; if those are cached that is two round
// trips on Redis.
func (q *Query[P, K, V]) Find(ctx context.Context, p P) ([]V, error) {
	ids, err := q.IDs(ctx, p)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	found, err := q.entities.FindMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	list := make([]V, 0, len(ids))
	for _, id := range ids {
		if v, ok := found[id]; ok {
			list = append(list, v)
		}
	}
	return list, nil
}

// IDs returns the ids of the list for p. The slice is shared with other readers:
// it must not be changed. In a transaction (see WriteThrough.Transact) the source
// is asked.
func (q *Query[P, K, V]) IDs(ctx context.Context, p P) ([]K, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	if q.opts.Normalize != nil {
		p = q.opts.Normalize(p)
	}
	if transactionOf(ctx) != nil {
		return q.ask(ctx, p)
	}
	return q.lists.GetOrCreateExclusive(ctx, q.key(p), func(ctx context.Context, e *cache.Entry) ([]K, error) {
		return q.load(ctx, p, e)
	})
}

func (q *Query[P, K, V]) key(p P) string {
	return keys.With("Query", q.opts.Name, keys.Value(p))
}

func (q *Query[P, K, V]) load(ctx context.Context, p P, e *cache.Entry) ([]K, error) {
	tokens := q.opts.Tokens(p)
	if len(tokens) == 0 {
		return nil, refuse("QueryOptions.Tokens", 0, "must return a token")
	}
	e.AddToken(tokens...)
	written := q.beingWritten(ctx, tokens) // before the source is read
	ids, err := q.ask(ctx, p)
	if err != nil {
		return nil, err
	}
	if q.opts.Options != nil {
		opts := q.opts.Options(p, ids)
		opts.Tokens = append(slices.Clip(e.Tokens), opts.Tokens...)
		e.EntryOptions = opts
	}
	e.NoStore = written
	return ids, nil
}

// beingWritten reports whether somebody may be writing what these tokens stand
// for, or has died while doing so.
func (q *Query[P, K, V]) beingWritten(ctx context.Context, tokens []cache.Token) bool {
	var guards []string
	for _, t := range tokens {
		for ok := true; ok; t, ok = t.Parent() {
			if guard := guardKey(t); !slices.Contains(guards, guard) {
				guards = append(guards, guard)
			}
		}
	}
	return anyMarked(ctx, q.leaser, guards)
}
