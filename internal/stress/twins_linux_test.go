package stress_test

import (
	"context"
	"sync"

	"github.com/larder-go/larder/cache"
)

// naive fills as cache-aside is usually written: GET, on a miss load and SET.
//
// What it does not see: it loads; the row and then the key are written; it
// stores what it loaded.
type naive struct{ *larder }

func (n *naive) get(ctx context.Context, id int) (got item, found bool, err error) {
	typed := n.loading.Typed()
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
type joining struct {
	*larder
	ctx context.Context // of flights: they end with the process

	mu      sync.Mutex
	running map[int]*flight
}

type flight struct {
	done chan struct{}
	got  item
	err  error
}

func (j *joining) get(_ context.Context, id int) (item, bool, error) {
	j.mu.Lock()
	f, runs := j.running[id]
	if !runs {
		f = &flight{done: make(chan struct{})}
		j.running[id] = f
	}
	j.mu.Unlock()
	if runs {
		<-f.done
		return f.got, true, f.err
	}
	f.got, f.err = j.loading.Get(j.ctx, id)
	close(f.done)
	j.forget(id, f)
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
