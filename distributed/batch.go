package distributed

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
)

// SetMany stores the items in one round trip per server node; if one key is
// given several times, in one more for each of its fills. See cache.Batcher.
func (c *Cache) SetMany(ctx context.Context, items []cache.Item) error {
	const op = "set_many"
	if err := c.begin(ctx); err != nil {
		return err
	}
	errs := make([]error, len(items))
	ready := make([]prepared, len(items))
	for i, item := range items {
		ready[i], errs[i] = c.prepare(item.Key, item.Value, item.Options)
	}
	c.stampMany(ctx, ready, errs)
	var written []string
	for i := range items {
		if errs[i] == nil && ready[i].lease == (cache.Lease{}) {
			written = append(written, items[i].Key)
		}
	}
	c.invalidate(written)
	winner, rounds := schedule(ready, errs)
	for _, round := range rounds {
		c.setRound(ctx, ready, round, errs)
	}
	c.invalidate(written)
	for i := range items {
		if winner[i] != i {
			errs[i] = errs[winner[i]] // what it stored would be gone by now
		}
	}
	return batchError(op, errs, func(i int) string { return items[i].Key })
}

// schedule orders the items that are fit to be stored. Of one key's items, an
// unconditional one makes those before it pointless: they are left out, and
// winner names the item that took their place. Fills and ends of writes after it
// remain and go one by one. So every round has distinct keys, and the order within it does
// not matter: it is lost when the server has forgotten a script, or moved a
// slot, and a part of the round is sent again.
func schedule(ready []prepared, errs []error) (winner []int, rounds [][]int) {
	winner = make([]int, len(ready))
	last := make(map[string]int, len(ready)) // the last unconditional item of a key
	for i := range ready {
		winner[i] = i
		if errs[i] == nil && ready[i].unconditional() {
			last[ready[i].name] = i
		}
	}
	turn := make(map[string]int, len(ready))
	for i := range ready {
		if errs[i] != nil {
			continue
		}
		name := ready[i].name
		if w, ok := last[name]; ok && i < w {
			winner[i] = w
			continue
		}
		n := turn[name]
		turn[name] = n + 1
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], i)
	}
	return winner, rounds
}

// setRound stores the items at these indices.
func (c *Cache) setRound(ctx context.Context, ready []prepared, round []int, errs []error) {
	b := newBatch(len(round))
	for _, i := range round {
		p := &ready[i]
		if p.plain() {
			b.add(i, p.name, p.setCmd(ctx))
		} else {
			b.add(i, p.name, p.scriptCmd(ctx, c.waker.channel))
		}
	}
	results := c.send(ctx, b, transport.Write)
	for j, i := range b.index {
		err := serverError(results[j])
		if script, ok := b.cmds[j].(*transport.ScriptCmd); ok && err == nil {
			err = ready[i].stored(script)
		}
		errs[i] = c.noteSet(err)
	}
}

// RemoveMany removes the keys in one round trip per server node. See
// cache.Batcher.
func (c *Cache) RemoveMany(ctx context.Context, keys []string) error {
	const op = "remove_many"
	if err := c.begin(ctx); err != nil {
		return err
	}
	errs := make([]error, len(keys))
	b := newBatch(len(keys))
	written := make([]string, 0, len(keys))
	for i, key := range keys {
		if errs[i] = cache.CheckKey(key); errs[i] == nil {
			name := c.name(key)
			b.add(i, name, invalidation(ctx, name))
			written = append(written, key)
		}
	}
	c.invalidate(written)
	defer c.invalidate(written)
	for j, err := range c.send(ctx, b, transport.Write) {
		if err == nil {
			err = c.noteRemoved(b.cmds[j].(*transport.ScriptCmd))
		}
		errs[b.index[j]] = serverError(err)
	}
	return batchError(op, errs, func(i int) string { return keys[i] })
}

// invalidate voids the loads in flight for keys that are about to be written,
// or were written just now.
func (c *Cache) invalidate(keys []string) {
	for _, key := range keys {
		c.coordinator.Invalidate(key)
	}
}

// batchError wraps the errors of a batch; nil if there are none.
func batchError(op string, errs []error, key func(int) string) error {
	bad := false
	for i, err := range errs {
		errs[i] = failed(op, key(i), err)
		bad = bad || err != nil
	}
	if !bad {
		return nil
	}
	return &cache.BatchError{Errs: errs}
}

// batch is the commands of one call on many keys.
type batch struct {
	index []int // of the item that the command is for
	names []string
	cmds  []redis.Cmder
}

func newBatch(n int) *batch {
	return &batch{index: make([]int, 0, n), names: make([]string, 0, n), cmds: make([]redis.Cmder, 0, n)}
}

func (b *batch) add(i int, name string, cmd redis.Cmder) {
	b.index = append(b.index, i)
	b.names = append(b.names, name)
	b.cmds = append(b.cmds, cmd)
}

// send runs the commands of b and returns an error for each.
func (c *Cache) send(ctx context.Context, b *batch, kind transport.Kind) []error {
	if len(b.cmds) == 0 {
		return nil
	}
	return c.transport.DoMany(ctx, b.names, b.cmds, kind)
}
