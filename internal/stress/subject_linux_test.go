package stress_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

// item is what the source holds under a key.
type item struct {
	Key     int
	Version int64
}

// subject is a way to read and invalidate through one process's cache. Safe for
// concurrent use.
type subject interface {
	// get returns the item of a key. found is false only if it did not ask the
	// source.
	get(ctx context.Context, key int) (got item, found bool, err error)
	getMany(ctx context.Context, ids []int) (map[int]item, error)
	remove(ctx context.Context, key int) error
	// mark marks a key that is about to be written. end ends the write, which
	// made this item, and reports whether another write overlapped.
	mark(ctx context.Context, key int) (end func(ctx context.Context, made item) (overlapped bool, err error), err error)
}

// subjects makes each kind of subject: larder, and the twins that the harness
// must catch.
func subjects() map[string]func(ctx context.Context, c *distributed.Cache, s *source) subject {
	return map[string]func(context.Context, *distributed.Cache, *source) subject{
		"larder": func(_ context.Context, c *distributed.Cache, s *source) subject { return newLarder(c, s) },
		"naive":  func(_ context.Context, c *distributed.Cache, s *source) subject { return &naive{newLarder(c, s)} },
		"unmarked": func(_ context.Context, c *distributed.Cache, s *source) subject {
			return &unmarked{newLarder(c, s)}
		},
		"joining": func(ctx context.Context, c *distributed.Cache, s *source) subject {
			return &joining{larder: newLarder(c, s), ctx: ctx, running: map[int]*flight{}}
		},
	}
}

// source reads the rows on the board, slowly.
type source struct {
	board   *board
	process int64
	seed    uint64
	calls   atomic.Uint64
}

// load reads the rows of ids at one moment somewhere within the time it takes.
// What it finds lives for parts of a second.
func (s *source) load(ctx context.Context, ids []int, e *cache.Entry) (map[int]item, error) {
	s.board.add(loads, 1)
	rng := rand.New(rand.NewPCG(s.seed, s.calls.Add(1)))
	if rng.IntN(2) == 0 {
		ctx = context.WithoutCancel(ctx)
	}
	if err := pause(ctx, delay(rng)); err != nil {
		return nil, err
	}
	rows := make(map[int]item, len(ids))
	for _, k := range ids {
		r := &s.board.rows[k]
		rows[k] = item{k, r.version.Load()}
		r.note(s.process, opLoaded, rows[k].Version)
	}
	e.TTL = 50*time.Millisecond + upTo(rng, 450*time.Millisecond)
	if isQuiet(ids[0]) {
		e.TTL = time.Hour // only a write takes it away
	}
	return rows, pause(ctx, delay(rng))
}

func (s *source) loadOne(ctx context.Context, id int, e *cache.Entry) (item, error) {
	rows, err := s.load(ctx, []int{id}, e)
	return rows[id], err
}

// delay is mostly short, and now and then long enough for several writes.
func delay(rng *rand.Rand) time.Duration {
	switch rng.IntN(16) {
	case 0:
		return upTo(rng, 20*time.Millisecond)
	case 1, 2, 3, 4, 5, 6, 7:
		return 0
	}
	return upTo(rng, time.Millisecond)
}

func upTo(rng *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(most)))
}

// pause waits for d, or returns the error with which ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// larder reads in all the ways that package cache has, in turn.
type larder struct {
	loading *cache.Loading[int, item]
	source  *source
	turn    atomic.Uint64
}

func newLarder(c *distributed.Cache, s *source) *larder {
	return &larder{source: s, loading: cache.NewLoading(c, s.loadOne, &cache.LoadingOptions[int, item]{
		AppendKey: func(dst []byte, id int) []byte { return append(dst, keyOf(id)...) },
		LoadMany:  s.load,
	})}
}

func keyOf(id int) string { return "k" + strconv.Itoa(id) }

func (l *larder) get(ctx context.Context, id int) (got item, found bool, err error) {
	switch l.turn.Add(1) % 4 {
	case 0:
		return l.loading.Typed().Get(ctx, keyOf(id))
	case 1:
		got, err = l.loading.Typed().GetOrCreateExclusive(ctx, keyOf(id), func(ctx context.Context, e *cache.Entry) (item, error) {
			return l.source.loadOne(ctx, id, e)
		})
	default:
		got, err = l.loading.Get(ctx, id)
	}
	return got, true, err
}

func (l *larder) getMany(ctx context.Context, ids []int) (map[int]item, error) {
	return l.loading.GetMany(ctx, ids)
}

func (l *larder) remove(ctx context.Context, id int) error { return l.loading.Remove(ctx, id) }

// markTTL is how long a key is marked if its writer dies, and commitWithin how
// soon after it began a writer must have committed.
const (
	markTTL      = time.Second
	commitWithin = markTTL / 2
)

func isQuiet(id int) bool { return id >= keyCount-quietKeys }

// mark ends writes in both ways, in turn.
func (l *larder) mark(ctx context.Context, id int) (func(context.Context, item) (bool, error), error) {
	marker := l.loading.Typed().Cache().(cache.WriteMarker)
	m, err := marker.BeginWrite(ctx, keyOf(id), markTTL)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, made item) (overlapped bool, err error) {
		if l.turn.Add(1)%2 == 0 {
			return false, marker.EndWrite(ctx, keyOf(id), m)
		}
		err = l.loading.Set(ctx, id, made, cache.EntryOptions{TTL: time.Hour, Mark: m})
		if errors.Is(err, cache.ErrWriteOverlapped) {
			return true, nil
		}
		return false, err
	}, nil
}
