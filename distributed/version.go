package distributed

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/envelope"
)

// GetItem is Get with what is known about the entry: one GET and one PTTL,
// together. An entry that is or was locked takes a script in a second round
// trip, because only the server's clock knows whether a lock still stands. See
// cache.Versioner.
func (c *Cache) GetItem(ctx context.Context, key string) (cache.VersionedItem, bool, error) {
	const op = "get_item"
	if err := c.beginKey(ctx, op, key); err != nil {
		return cache.VersionedItem{}, false, err
	}
	// In this order: of an entry that is replaced in between, the TTL is the
	// later one's, and never the other way round.
	name := c.name(key)
	get := redis.NewStringCmd(ctx, "get", name)
	pttl := redis.NewIntCmd(ctx, "pttl", name)
	errs := c.transport.DoMany(ctx, []string{name, name}, []redis.Cmder{get, pttl}, transport.Read)
	e, err := receivedBy(name, get, errs[0])
	if err == nil {
		err = serverError(errs[1])
	}
	if err == nil && e.stamps != nil && e.header.Kind != envelope.Locked {
		err = c.judge(ctx, &e)
	}
	if err != nil {
		return cache.VersionedItem{}, false, failed(op, key, err)
	}
	if e.state == isValue && e.header.Kind == envelope.Locked {
		item, _, found, err := c.readItem(ctx, op, key, cache.Version{})
		return item, found, err
	}
	left := pttl.Val()
	if left == pttlAbsent && e.state == isValue {
		e = entry{state: isAbsent} // it expired, or was removed, just now
	}
	if err := c.valueRead(ctx, op, key, e); err != nil || e.state != isValue {
		return cache.VersionedItem{}, false, err
	}
	return e.item(left, false), true, nil
}

// GetIfNewer is GetItem if the entry's version is another than have: one
// script, which leaves the value on the server if not. See cache.Versioner.
func (c *Cache) GetIfNewer(ctx context.Context, key string, have cache.Version) (item cache.VersionedItem, newer, found bool, err error) {
	const op = "get_if_newer"
	if err := c.beginKey(ctx, op, key); err != nil {
		return cache.VersionedItem{}, false, false, err
	}
	return c.readItem(ctx, op, key, have)
}

// readItem reads an entry by script, unless its version is have, which may be
// zero.
func (c *Cache) readItem(ctx context.Context, op, key string, have cache.Version) (item cache.VersionedItem, newer, found bool, err error) {
	var wanted []byte
	if have != (cache.Version{}) {
		wanted = have[:]
	}
	a, err := c.runScript(ctx, op, key, itemScript, transport.Read, wanted)
	e := entry{state: isAbsent}
	switch {
	case a.word == "other":
		e = decode(c.name(key), []byte(a.text(0)))
	case a.word == "none":
	case err != nil:
		return cache.VersionedItem{}, false, false, err
	case a.word == "same":
		e = sameEntry(a, have)
	default:
		e = decode(c.name(key), []byte(a.text(0)))
	}
	if e.stamps != nil {
		if err := c.judge(ctx, &e); err != nil {
			return cache.VersionedItem{}, false, false, failed(op, key, err)
		}
	}
	if err := c.valueRead(ctx, op, key, e); err != nil || e.state != isValue {
		return cache.VersionedItem{}, false, false, err
	}
	return e.item(a.number(1), a.number(2) == 1), a.word != "same", true, nil
}

// sameEntry is the entry of which the item script says that the caller has it.
func sameEntry(a answer, have cache.Version) entry {
	e := entry{state: isValue, header: envelope.Header{ID: envelope.ID(have), Window: a.millis(0), Order: a.order(3)}}
	if raw := a.text(4); raw != "" {
		var err error
		if e.stamps, err = envelope.ParseStamps([]byte(raw)); err != nil {
			return entry{err: err}
		}
	}
	return e
}

// What PTTL says of a key without an end, and of none.
const (
	pttlForever = -1
	pttlAbsent  = -2
)

// item is what a caller hears of a value with so many milliseconds left.
func (e entry) item(left int64, locked bool) cache.VersionedItem {
	item := cache.VersionedItem{
		Value:   e.payload,
		Version: cache.Version(e.header.ID),
		TTL:     time.Duration(left) * time.Millisecond,
		Locked:  locked,
		Order:   e.header.Order,
		Tokens:  e.tokens(),
	}
	if left == pttlForever {
		item.TTL = cache.NoExpiry
	}
	return item
}

// CompareAndSet replaces the entry if its version is have: one script. If the
// outcome is unknown it returns the version that the entry then has if it was
// replaced. See cache.Versioner.
func (c *Cache) CompareAndSet(ctx context.Context, key string, value []byte, have cache.Version, opts cache.EntryOptions) (cache.Version, error) {
	const op = "compare_and_set"
	if err := c.beginKey(ctx, op, key); err != nil {
		return cache.Version{}, err
	}
	if have == (cache.Version{}) {
		return cache.Version{}, failed(op, key, cache.ErrInvalidVersion)
	}
	return c.change(ctx, op, key, value, opts, replaceScript, have[:])
}

// Add stores the entry if there is none: one script. A damaged entry makes
// room, foreign data is cache.ErrWrongType. If the outcome is unknown it
// returns a version as CompareAndSet does. See cache.Versioner.
func (c *Cache) Add(ctx context.Context, key string, value []byte, opts cache.EntryOptions) (cache.Version, error) {
	const op = "add"
	if err := c.beginKey(ctx, op, key); err != nil {
		return cache.Version{}, err
	}
	version, err := c.change(ctx, op, key, value, opts, addScript)
	if errors.Is(err, cache.ErrNoEntry) {
		err = failed(op, key, cache.ErrWrongType) // foreign data
	}
	return version, err
}

// RemoveVersion removes the entry if its version is have: one script. See
// cache.Versioner.
func (c *Cache) RemoveVersion(ctx context.Context, key string, have cache.Version) (bool, error) {
	const op = "remove_version"
	if err := c.beginKey(ctx, op, key); err != nil {
		return false, err
	}
	if have == (cache.Version{}) {
		return false, failed(op, key, cache.ErrInvalidVersion)
	}
	return c.removeIf(ctx, op, key, have[:], nil)
}

// change runs a script that stores value if cond is met. It returns the version
// of what it stored, unless it is certain that it did not.
func (c *Cache) change(ctx context.Context, op, key string, value []byte, opts cache.EntryOptions, s *transport.Script, cond ...any) (cache.Version, error) {
	p, err := c.prepare(key, value, opts)
	if err != nil {
		return cache.Version{}, failed(op, key, err)
	}
	return c.changeTo(ctx, op, key, p, s, cond...)
}

// changeTo is change with the value prepared.
func (c *Cache) changeTo(ctx context.Context, op, key string, p prepared, s *transport.Script, cond ...any) (cache.Version, error) {
	if err := c.stampOne(ctx, &p); err != nil {
		return cache.Version{}, failed(op, key, err)
	}
	c.coordinator.Invalidate(key)
	defer c.coordinator.Invalidate(key)
	args := append(cond, millis(p.life.Initial()), millis(p.bound()), p.entry)
	a, err := c.runScript(ctx, op, key, s, transport.Write, args...)
	if err != nil && !errors.Is(err, cache.ErrOutcomeUnknown) {
		return cache.Version{}, err
	}
	if a.word == "same" {
		return cache.Version{}, nil
	}
	return cache.Version(p.version), c.noteSet(err)
}

// removeIf removes the entry if it has this version, or this lock.
func (c *Cache) removeIf(ctx context.Context, op, key string, version, handle []byte) (bool, error) {
	c.coordinator.Invalidate(key)
	defer c.coordinator.Invalidate(key)
	a, err := c.runScript(ctx, op, key, removeScript, transport.Write, version, handle)
	if errors.Is(err, cache.ErrNoEntry) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if a.word == "ok" {
		c.removes.Add(1)
	}
	return a.word == "ok", nil
}
