package stress_test

import (
	"context"
	"slices"
	"sync"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

// naive fills as cache-aside is usually written: GET, on a miss load and SET.
//
// What it does not see: it loads; the row and then the key are written; it
// stores what it loaded.
type naive struct{ *larder }

func (n *naive) get(ctx context.Context, id int) (got item, found bool, err error) {
	typed := n.of(id).Typed()
	if got, found, err = typed.Get(ctx, keyOf(id)); found || err != nil {
		return got, found, err
	}
	var e cache.Entry
	if got, err = n.source.loadOne(ctx, id, &e); err != nil {
		return got, true, err
	}
	return got, true, typed.Set(ctx, keyOf(id), got, e.EntryOptions)
}

func (n *naive) getMany(ctx context.Context, ids []int) (map[int]item, error) {
	return oneByOne(ctx, n, ids)
}

// joining has larder's leases, and in front of them one flight per key and
// process that all callers join. Its writes make later callers of their own
// process start anew.
//
// What it does not see: a flight loads; another process writes the row and
// removes the key; a caller joins the flight.
//
// If regional is set it does so with regional keys only, and the other way round
// with the others only. Of those it does not see: a flight loads; another process
// writes the row and expires a region; a caller joins the flight.
type joining struct {
	*larder
	ctx      context.Context // of flights: they end with the process
	regional bool

	mu      sync.Mutex
	running map[int]*flight
}

type flight struct {
	done chan struct{}
	got  item
	err  error
}

func (j *joining) get(ctx context.Context, id int) (item, bool, error) {
	if j.regional != isRegional(id) {
		got, err := j.of(id).Get(ctx, id)
		return got, true, err
	}
	j.mu.Lock()
	f, runs := j.running[id]
	if !runs {
		f = &flight{done: make(chan struct{})}
		j.running[id] = f
	}
	j.mu.Unlock()
	if runs {
		<-f.done
	} else {
		f.got, f.err = j.of(id).Get(j.ctx, id)
		close(f.done)
		j.forget(id, f)
	}
	if f.err != nil && j.ctx.Err() != nil {
		<-ctx.Done() // it ends with the process, too, perhaps a moment later
	}
	return f.got, true, f.err
}

// forget makes later callers start a flight of their own; f is the flight that
// ended, nil if the key was written.
func (j *joining) forget(id int, f *flight) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if f == nil || j.running[id] == f {
		delete(j.running, id)
	}
}

func (j *joining) getMany(ctx context.Context, ids []int) (map[int]item, error) {
	return oneByOne(ctx, j, ids)
}

func (j *joining) remove(ctx context.Context, id int) error {
	j.forget(id, nil)
	defer j.forget(id, nil)
	return j.larder.remove(ctx, id)
}

// expire makes later callers of all keys start anew that it concerns.
func (j *joining) expire(ctx context.Context, tokens ...cache.Token) error {
	ids := membersOf(tokens)
	forget := func() {
		for _, id := range ids {
			j.forget(id, nil)
		}
	}
	forget()
	defer forget()
	return j.larder.expire(ctx, tokens...)
}

func oneByOne(ctx context.Context, s subject, ids []int) (map[int]item, error) {
	rows := make(map[int]item, len(ids))
	for _, id := range ids {
		got, _, err := s.get(ctx, id)
		if err != nil {
			return rows, err
		}
		rows[id] = got
	}
	return rows, nil
}

// unmarked is larder without write marks: it removes after each write.
//
// What it does not see: a process that is killed between its commit and the
// removal leaves what was there before.
type unmarked struct{ *larder }

func (u *unmarked) mark(_ context.Context, id int) (func(context.Context, item) (bool, error), error) {
	return func(ctx context.Context, _ item) (bool, error) { return false, u.remove(ctx, id) }, nil
}

// stamping is larder on a cache that gives entries the generations that their
// tokens have when they are stored.
//
// What it does not see: a load reads the source; the row is written and its
// region expired; only then the load names the region, and stores what it read
// under the new generation.
type stamping struct{ *distributed.Cache }

func (s stamping) Set(ctx context.Context, key string, value []byte, opts cache.EntryOptions) error {
	opts.Since = cache.Moment{}
	return s.Cache.Set(ctx, key, value, opts)
}

func (s stamping) SetMany(ctx context.Context, items []cache.Item) error {
	items = slices.Clone(items)
	for i := range items {
		items[i].Options.Since = cache.Moment{}
	}
	return s.Cache.SetMany(ctx, items)
}
