package near

import (
	"context"
	"slices"
	"time"

	"github.com/larder-go/larder/cache"
)

// change is a call that changes what readers are given.
type change struct {
	op     string
	keys   []string
	tokens []cache.Token   // of ExpireTokens
	mark   cache.WriteMark // of EndWrite
	fill   bool            // it puts something where there was nothing: see Leaser

	removed *bool // whether it removed anything, once it has succeeded; nil: it changed something
}

// run makes a change on the shared tier. What is held is dropped before it, and
// again when it is over, however it ended: what was fetched between may be from
// before.
func (c *Cache) run(ctx context.Context, ch change, do func() error) error {
	if ch.fill {
		return c.around(&ch, do) // nobody holds what was before
	}
	return c.settled(ctx, &ch, c.around(&ch, do))
}

func (c *Cache) around(ch *change, do func() error) error {
	c.forget(ch)
	defer c.forget(ch)
	return do()
}

func (c *Cache) forget(ch *change) {
	for _, key := range ch.keys {
		c.drop(key)
	}
	if len(ch.tokens) > 0 {
		c.expire(ch.tokens...)
	}
}

func keysOf(items []cache.Item) []string {
	keys := make([]string, len(items))
	for i, item := range items {
		keys[i] = item.Key
	}
	return keys
}

// Set is distributed.Cache.Set.
func (c *Cache) Set(ctx context.Context, key string, value []byte, opts cache.EntryOptions) error {
	return c.run(ctx, change{op: "set", keys: []string{key}, fill: opts.Lease != cache.Lease{}}, func() error {
		return c.Cache.Set(ctx, key, value, opts)
	})
}

// SetMany is distributed.Cache.SetMany.
func (c *Cache) SetMany(ctx context.Context, items []cache.Item) error {
	fill := !slices.ContainsFunc(items, func(i cache.Item) bool { return i.Options.Lease == cache.Lease{} })
	return c.run(ctx, change{op: "set_many", keys: keysOf(items), fill: fill}, func() error {
		return c.Cache.SetMany(ctx, items)
	})
}

// SetIfNewer is distributed.Cache.SetIfNewer.
func (c *Cache) SetIfNewer(ctx context.Context, key string, value []byte, order uint64, opts cache.EntryOptions) error {
	return c.run(ctx, change{op: "set_if_newer", keys: []string{key}}, func() error {
		return c.Cache.SetIfNewer(ctx, key, value, order, opts)
	})
}

// Refresh is distributed.Cache.Refresh.
func (c *Cache) Refresh(ctx context.Context, key string) error {
	return c.Cache.Refresh(ctx, key) // it changes no value
}

// Remove is distributed.Cache.Remove.
func (c *Cache) Remove(ctx context.Context, key string) error {
	return c.run(ctx, change{op: "remove", keys: []string{key}}, func() error {
		return c.Cache.Remove(ctx, key)
	})
}

// RemoveMany is distributed.Cache.RemoveMany.
func (c *Cache) RemoveMany(ctx context.Context, keys []string) error {
	return c.run(ctx, change{op: "remove_many", keys: keys}, func() error {
		return c.Cache.RemoveMany(ctx, keys)
	})
}

// Increment is distributed.Cache.Increment.
func (c *Cache) Increment(ctx context.Context, key string, delta int64, opts cache.EntryOptions) (n int64, err error) {
	err = c.run(ctx, change{op: "increment", keys: []string{key}}, func() (err error) {
		n, err = c.Cache.Increment(ctx, key, delta, opts)
		return err
	})
	return n, err
}

// CompareAndSet is distributed.Cache.CompareAndSet.
func (c *Cache) CompareAndSet(ctx context.Context, key string, value []byte, have cache.Version, opts cache.EntryOptions) (version cache.Version, err error) {
	err = c.run(ctx, change{op: "compare_and_set", keys: []string{key}}, func() (err error) {
		version, err = c.Cache.CompareAndSet(ctx, key, value, have, opts)
		return err
	})
	return version, err
}

// Add is distributed.Cache.Add.
func (c *Cache) Add(ctx context.Context, key string, value []byte, opts cache.EntryOptions) (version cache.Version, err error) {
	err = c.run(ctx, change{op: "add", keys: []string{key}}, func() (err error) {
		version, err = c.Cache.Add(ctx, key, value, opts)
		return err
	})
	return version, err
}

// RemoveVersion is distributed.Cache.RemoveVersion.
func (c *Cache) RemoveVersion(ctx context.Context, key string, have cache.Version) (removed bool, err error) {
	err = c.run(ctx, change{op: "remove_version", keys: []string{key}, removed: &removed}, func() (err error) {
		removed, err = c.Cache.RemoveVersion(ctx, key, have)
		return err
	})
	return removed, err
}

// GetAndLock is distributed.Cache.GetAndLock.
func (c *Cache) GetAndLock(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions) (item cache.VersionedItem, handle cache.LockHandle, err error) {
	err = c.around(&change{op: "get_and_lock", keys: []string{key}}, func() (err error) {
		item, handle, err = c.Cache.GetAndLock(ctx, key, ttl, opts)
		return err
	})
	return item, handle, err
}

// PutAndUnlock is distributed.Cache.PutAndUnlock.
func (c *Cache) PutAndUnlock(ctx context.Context, key string, value []byte, handle cache.LockHandle, opts cache.EntryOptions) (version cache.Version, err error) {
	err = c.run(ctx, change{op: "put_and_unlock", keys: []string{key}}, func() (err error) {
		version, err = c.Cache.PutAndUnlock(ctx, key, value, handle, opts)
		return err
	})
	return version, err
}

// Unlock is distributed.Cache.Unlock.
func (c *Cache) Unlock(ctx context.Context, key string, handle cache.LockHandle, ttl time.Duration) error {
	return c.run(ctx, change{op: "unlock", keys: []string{key}}, func() error {
		return c.Cache.Unlock(ctx, key, handle, ttl)
	})
}

// RemoveLocked is distributed.Cache.RemoveLocked.
func (c *Cache) RemoveLocked(ctx context.Context, key string, handle cache.LockHandle) (removed bool, err error) {
	err = c.run(ctx, change{op: "remove_locked", keys: []string{key}, removed: &removed}, func() (err error) {
		removed, err = c.Cache.RemoveLocked(ctx, key, handle)
		return err
	})
	return removed, err
}

// ResetTTL is distributed.Cache.ResetTTL.
func (c *Cache) ResetTTL(ctx context.Context, key string, ttl time.Duration) error {
	return c.run(ctx, change{op: "reset_ttl", keys: []string{key}}, func() error {
		return c.Cache.ResetTTL(ctx, key, ttl)
	})
}

// BeginWrite is distributed.Cache.BeginWrite.
func (c *Cache) BeginWrite(ctx context.Context, key string, ttl time.Duration) (mark cache.WriteMark, err error) {
	err = c.run(ctx, change{op: "begin_write", keys: []string{key}}, func() (err error) {
		mark, err = c.Cache.BeginWrite(ctx, key, ttl)
		return err
	})
	return mark, err
}

// EndWrite is distributed.Cache.EndWrite.
func (c *Cache) EndWrite(ctx context.Context, key string, mark cache.WriteMark) error {
	return c.run(ctx, change{op: "end_write", keys: []string{key}, mark: mark}, func() error {
		return c.Cache.EndWrite(ctx, key, mark)
	})
}

// ExpireTokens is distributed.Cache.ExpireTokens.
func (c *Cache) ExpireTokens(ctx context.Context, tokens ...cache.Token) error {
	return c.run(ctx, change{op: "expire_tokens", tokens: tokens}, func() error {
		return c.Cache.ExpireTokens(ctx, tokens...)
	})
}
