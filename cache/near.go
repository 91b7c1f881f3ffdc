package cache

import (
	"context"
	"time"
)

// Near is the capability of a cache that keeps decoded values in this process
// in front of a shared one of bytes. The typed layer reads through it; writes
// and everything else go to the cache itself.
//
// The interleaving it defends against: a Fetch reads the shared tier; the key is
// changed and the news of it arrive here; only then the value is decoded and put.
// So a Fetch comes with a ticket, and what has changed since voids it.
type Near interface {
	// GetNear returns the value held in this process for key, if it may be
	// served. It shares the value with every reader, and does not keep key. A
	// hit allocates nothing and sends nothing, unless the cache asks the shared
	// tier at each hit whether the value still counts.
	GetNear(ctx context.Context, key string) (value any, ok bool)

	// Fetch is Get on the shared tier, GetUnder if tokens are given, with the
	// ticket for a PutNear of what it brought.
	Fetch(ctx context.Context, key string, tokens []Token) (value []byte, ticket NearTicket, found bool, err error)

	// FetchMany is GetNear, and Fetch where that finds nothing, for many keys: one
	// answer for each, in one round trip per server node. The error is for the
	// call as a whole.
	FetchMany(ctx context.Context, keys []string) ([]Fetched, error)

	// PutNear holds value, decoded from what a Fetch returned with this ticket,
	// unless key has changed since that Fetch began. What cannot be held is not:
	// there is no error.
	PutNear(key string, value any, ticket NearTicket)
}

// NearTicket is what a Fetch knows of when and what it read. It means something
// only to the cache that issued it; nil says that nothing may be held.
type NearTicket any

// Fetched is the answer for one key of FetchMany.
type Fetched struct {
	Held any // what GetNear returned; nil: the other fields are what Fetch returned

	Value  []byte
	Ticket NearTicket
	Found  bool
	Err    error
}

// lookupNear is lookup for a cache with Near. What another Typed put for another
// type is no answer: the shared tier's bytes are.
func (t *Typed[V]) lookupNear(ctx context.Context, key string) (V, sight, error) {
	var zero V
	if ctx != nil && t.bypassed(ctx) {
		return zero, sight{}, CheckKey(key)
	}
	held, ok := t.near.GetNear(ctx, key)
	return t.lookupFar(ctx, key, held, ok)
}

// lookupFar goes on after GetNear.
func (t *Typed[V]) lookupFar(ctx context.Context, key string, held any, ok bool) (V, sight, error) {
	if ok {
		if value, s := t.seen(held); s.at != atUndecodable {
			return value, s, nil
		}
	}
	var zero V
	data, ticket, ok, err := t.near.Fetch(ctx, key, t.opts.Defaults.Tokens)
	if !ok || err != nil {
		return zero, sight{}, err
	}
	return t.fetched(ctx, key, data, ticket)
}

// fetched decodes what was fetched, and puts it.
func (t *Typed[V]) fetched(ctx context.Context, key string, data []byte, ticket NearTicket) (V, sight, error) {
	value, w, s := t.decodeWritten(ctx, data)
	if ticket != nil && s.at != atUndecodable {
		t.near.PutNear(key, t.held(objectOf(value, s.at == atNegative, w)), ticket)
	}
	return value, s, nil
}

// nearHit is the part of lookupNear that does not keep key. It reports whether a
// value was found that is fresh.
func (t *Typed[V]) nearHit(ctx context.Context, key string) (value V, ok bool) {
	if t.configErr != nil || ctx == nil || t.bypassed(ctx) {
		return value, false
	}
	held, ok := t.near.GetNear(ctx, key)
	if !ok {
		return value, false
	}
	value, s := t.seen(held)
	return value, s.at == atValue
}

// objectOf returns value with the life that was written with it.
func objectOf[V any](value V, negative bool, w written) *object[V] {
	o := &object[V]{value: value, negative: negative}
	if w.ages {
		o.aging = &aging{life: w.life, born: time.UnixMilli(w.born), etag: string(w.etag)}
	}
	return o
}

// lookupManyNear is lookupMany for a cache with Near.
func (t *Typed[V]) lookupManyNear(ctx context.Context, keys []string) []answer[V] {
	answers := make([]answer[V], len(keys))
	results, err := t.near.FetchMany(ctx, keys)
	for i, key := range keys {
		a := &answers[i]
		if err != nil {
			a.err = err
			continue
		}
		switch r := results[i]; {
		case r.Held != nil:
			if a.value, a.seen = t.seen(r.Held); a.seen.at == atUndecodable {
				a.value, a.seen, a.err = t.lookupNear(ctx, key) // of another Typed
			}
		case r.Err != nil:
			a.err = r.Err
		case r.Found:
			a.value, a.seen, a.err = t.fetched(ctx, key, r.Value, r.Ticket)
		}
	}
	return answers
}
