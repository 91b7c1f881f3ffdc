package patterns

import (
	"context"
	"errors"

	"github.com/larder-go/larder/cache"
)

// Intents note, beside the data, what a cache has still to be told. Without them a
// write that goes ahead although the cache cannot be reached, by a process that dies
// before it is back, leaves the old entry until its TTL has passed: nobody is left who
// knows of it. With them anybody who reads the notes can tell the cache: see package
// patterns/intents, which keeps them in an SQL table.
//
// A wrapper notes only what it could not mark or expire before it writes the source,
// so they cost nothing as long as the cache is there.
type Intents interface {
	// Note keeps what in the transaction that ctx belongs to: it stays if that is
	// committed, and only then. An error fails the write, as does a ctx without a
	// transaction. It is safe for concurrent use.
	Note(ctx context.Context, what Intent) error
}

// Intent is what a cache is to be told: that these entries are removed and that
// these tokens expire. Telling it twice, or for no reason, does no harm.
type Intent struct {
	Keys   []string
	Tokens []cache.Token
}

// useIntents makes every write one in a transaction of the source, which its notes
// need.
func (w *writer[K, V]) useIntents() error {
	if _, ok := cache.As[cache.WriteMarker](w.cache); !ok {
		return refuse("Entity.Intents", "a store of them", "needs a cache with write marks")
	}
	if w.source = transactorOf(w.inner); w.source == nil {
		return refuse("Entity.Intents", "a store of them", "needs a repository with transactions")
	}
	return nil
}

// mark marks keys. What cannot be marked is to be noted, if there are intents and
// the write is not to be refused.
func (u *unit[K, V]) mark(ctx context.Context, w *cache.Writing, keys []string) error {
	err := w.Mark(ctx, keys...)
	if u.entity.Intents == nil || u.opts.Strict || ctx.Err() != nil {
		return err
	}
	if errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrTooManyWriters) {
		u.untold = true
		return nil
	}
	return err
}

// intend notes what the cache could not be told before the write.
func (u *unit[K, V]) intend(ctx context.Context, keys []string, tokens []cache.Token) error {
	if u.entity.Intents == nil || !u.untold {
		return nil
	}
	err := u.entity.Intents.Note(ctx, Intent{Keys: keys, Tokens: tokens})
	u.untold = err != nil
	return err
}
