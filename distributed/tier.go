package distributed

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/envelope"
)

// Tier is what a cache that keeps copies of a Cache's values needs beyond its
// methods: how long a copy may be kept, whether it still counts, and what a key
// that Redis says has changed means. Package near is made of it.
type Tier struct{ c *Cache }

// Tier returns the hooks for a cache in front of c.
func (c *Cache) Tier() Tier { return Tier{c} }

// Follow returns a client for connections that are to lead where those of the cache
// do. With Sentinel they are closed when it names another primary, which is noticed
// within about so long; limit then returns asOf, or when it was asked last if that is
// earlier. Without it limit is nil.
func (t Tier) Follow(within time.Duration) (client redis.UniversalClient, limit func(asOf time.Time) time.Time) {
	return t.c.transport.Follow(within)
}

// Copy is a value as it was read, and what is known about it.
type Copy struct {
	Value    []byte        // the caller's
	Version  cache.Version // no other content ever has it
	Deadline time.Time     // when the entry ends if nobody reads it, or sooner; zero: it has no end
	Sliding  time.Duration // its window, which reading a copy does not restart; 0: none
	Locked   bool          // whether there is a lock on it, which may have run out
	Tokens   []cache.Token // of the regions that it depends on

	stamps envelope.Stamps
}

// Read is cache.Get, or GetUnder if tokens are given, with what is known about
// the entry: GET and PTTL in one round trip. The deadline counts from before that
// was sent, so it is never later than Redis's own.
func (t Tier) Read(ctx context.Context, key string, tokens []cache.Token) (Copy, bool, error) {
	const op = "read"
	c := t.c
	if err := c.beginKey(ctx, op, key); err != nil {
		return Copy{}, false, err
	}
	var stamps []string
	if len(tokens) > 0 && cache.CheckTokens(tokens) == nil {
		stamps = stampNames(tokens)
	}
	name := c.name(key)
	get, pttl := redis.NewStringCmd(ctx, "get", name), redis.NewIntCmd(ctx, "pttl", name)
	keys, cmds := []string{name, name}, []redis.Cmder{get, pttl}
	for _, generation := range c.generations.keys(stamps) {
		keys, cmds = append(keys, generation), append(cmds, redis.NewStringCmd(ctx, "get", generation))
	}
	sent := time.Now()
	errs := c.transport.DoMany(ctx, keys, cmds, transport.Read)
	e, err := receivedBy(name, get, errs[0])
	if err == nil {
		err = serverError(errs[1])
	}
	if err == nil && e.stamps != nil {
		k := make(known, len(stamps))
		for i, stamp := range stamps {
			k[stamp] = foundBy(cmds[2+i], errs[2+i])
		}
		c.learn(ctx, k, &e)
		err = k.judge(&e)
	}
	if err != nil {
		return Copy{}, false, failed(op, key, err)
	}
	return c.copied(ctx, op, key, e, pttl.Val(), sent)
}

// CopyResult is the answer for one key of ReadMany.
type CopyResult struct {
	Copy
	Found bool
	Err   error
}

// ReadMany is Read for many keys, as GetMany is Get: one round trip per server
// node, and one more if entries depend on regions.
func (t Tier) ReadMany(ctx context.Context, keys []string) ([]CopyResult, error) {
	const op = "read_many"
	c := t.c
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	results := make([]CopyResult, len(keys))
	gets, pttls := newBatch(len(keys)), newBatch(len(keys))
	for i, key := range keys {
		if err := cache.CheckKey(key); err != nil {
			results[i].Err = failed(op, key, err)
			continue
		}
		name := c.name(key)
		gets.add(i, name, redis.NewStringCmd(ctx, "get", name))
		pttls.add(i, name, redis.NewIntCmd(ctx, "pttl", name))
	}
	sent := time.Now()
	n := len(gets.cmds)
	errs := c.transport.DoMany(ctx, slices.Concat(gets.names, pttls.names), slices.Concat(gets.cmds, pttls.cmds), transport.Read)
	entries, errsLeft := make([]entry, n), errs[n:]
	for j := range entries {
		entries[j], errs[j] = receivedBy(gets.names[j], gets.cmds[j].(*redis.StringCmd), errs[j])
		errs[j] = cmp.Or(errs[j], serverError(errsLeft[j]))
	}
	c.judgeAll(ctx, entries, errs[:n])
	for j, i := range gets.index {
		r := &results[i]
		if r.Err = failed(op, keys[i], errs[j]); r.Err == nil {
			r.Copy, r.Found, r.Err = c.copied(ctx, op, keys[i], entries[j], pttls.cmds[j].(*redis.IntCmd).Val(), sent)
		}
	}
	return results, nil
}

// copied is what a read of e brought that had so many milliseconds left after it
// was sent for.
func (c *Cache) copied(ctx context.Context, op, key string, e entry, left int64, sent time.Time) (Copy, bool, error) {
	if left == pttlAbsent && e.state == isValue {
		e = entry{state: isAbsent} // it expired, or was removed, just now
	}
	if err := c.valueRead(ctx, op, key, e); err != nil || e.state != isValue {
		return Copy{}, false, err
	}
	return e.copy(left, sent), true, nil
}

// copy returns what is known of a value that had so many milliseconds left after
// it was sent for.
func (e entry) copy(left int64, sent time.Time) Copy {
	c := Copy{
		Value:   e.payload,
		Version: cache.Version(e.header.ID),
		Sliding: e.header.Window,
		Locked:  e.header.Kind == envelope.Locked,
		Tokens:  e.tokens(),
		stamps:  append(envelope.Stamps(nil), e.stamps...), // or the whole value would be kept
	}
	if left != pttlForever {
		c.Deadline = sent.Add(time.Duration(left) * time.Millisecond)
	}
	return c
}

// Current reports whether a copy that Read returned still is what is under key,
// and none of its tokens has expired: in one round trip the entry's header and the
// generations that the copy depends on. It restarts no sliding window, and counts
// neither as a hit nor as a miss.
func (t Tier) Current(ctx context.Context, key string, copied *Copy) (bool, error) {
	const op = "validate"
	c := t.c
	if err := c.beginKey(ctx, op, key); err != nil {
		return false, err
	}
	name := c.name(key)
	header := redis.NewStringCmd(ctx, "getrange", name, 0, envelope.HeaderSize-1)
	keys, cmds := []string{name}, []redis.Cmder{header}
	var ids []envelope.ID
	for stamp, id := range copied.stamps.All() {
		generation := c.generations.key(string(stamp))
		keys, cmds, ids = append(keys, generation), append(cmds, redis.NewStringCmd(ctx, "get", generation)), append(ids, id)
	}
	errs := c.transport.DoMany(ctx, keys, cmds, transport.Read)
	if isWrongType(errs[0]) {
		return false, nil
	}
	if errs[0] != nil {
		return false, failed(op, key, serverError(errs[0]))
	}
	raw, _ := header.Bytes()
	if id, ok := envelope.ValueID(raw, envelope.Digest(name)); !ok || cache.Version(id) != copied.Version {
		return false, nil
	}
	for i, id := range ids {
		now := foundBy(cmds[1+i], errs[1+i])
		if now.err != nil {
			return false, failed(op, key, now.err)
		}
		if now.id != id {
			return false, nil
		}
	}
	return true, nil
}

// Changed is what a change of a Redis key means to who keeps copies.
type Changed uint8

const (
	// ChangedNothing: the key is not the cache's, or nothing depends on it.
	ChangedNothing Changed = iota
	// ChangedKey: the entry under a key may have changed.
	ChangedKey
	// ChangedToken: a token has expired.
	ChangedToken
)

// Changed tells what a change of the Redis key called name means, and for which
// key or token. The key is a part of name. It sends nothing.
//
// A change of the epoch means nothing: on several servers it comes before the
// generations change, and it is they that entries depend on. Storing an entry
// touches a generation too, but only when there is none or it would end too soon,
// about once in two days.
func (t Tier) Changed(name string) (what Changed, key string, token cache.Token) {
	key, ok := strings.CutPrefix(name, t.c.opts.Prefix)
	if !ok {
		return ChangedNothing, "", token
	}
	if !strings.HasPrefix(key, cache.ReservedPrefix) {
		return ChangedKey, key, token
	}
	if name == t.c.generations.global {
		return ChangedToken, "", cache.GlobalToken()
	}
	if stamp, ok := strings.CutPrefix(name, t.c.generations.region); ok {
		return ChangedToken, "", tokenOf(strings.Clone(stamp))
	}
	return ChangedNothing, "", token
}
