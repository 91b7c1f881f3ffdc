package stress_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/swarmtest"
	"github.com/larder-go/larder/region"
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
	// expire expires tokens of regions.
	expire(ctx context.Context, tokens ...cache.Token) error
}

// subjects makes each kind of subject: larder, and the twins that the harness
// must catch.
func subjects() map[string]func(ctx context.Context, c *distributed.Cache, s *source) subject {
	return map[string]func(context.Context, *distributed.Cache, *source) subject{
		"larder": func(_ context.Context, c *distributed.Cache, s *source) subject { return newLarder(c, s) },
		"stamping": func(_ context.Context, c *distributed.Cache, s *source) subject {
			return newLarder(stamping{c}, s)
		},
		"naive": func(_ context.Context, c *distributed.Cache, s *source) subject { return &naive{newLarder(c, s)} },
		"unmarked": func(_ context.Context, c *distributed.Cache, s *source) subject {
			return &unmarked{newLarder(c, s)}
		},
		"joining": func(ctx context.Context, c *distributed.Cache, s *source) subject {
			return &joining{larder: newLarder(c, s), ctx: ctx, running: map[int]*flight{}}
		},
		"joining regions": func(ctx context.Context, c *distributed.Cache, s *source) subject {
			return &joining{larder: newLarder(c, s), ctx: ctx, running: map[int]*flight{}, regional: true}
		},
	}
}

// source reads the rows on the board, slowly.
type source struct {
	board   *board
	process int
	seed    uint64
	calls   atomic.Uint64
}

// load reads the rows of ids at one moment somewhere within the time it takes.
// What it finds lives for parts of a second, unless it is to be seen whether a
// write takes it away.
func (s *source) load(ctx context.Context, ids []int, e *cache.Entry) (map[int]item, error) {
	s.board.add(loads, 1)
	rng := rand.New(rand.NewPCG(s.seed, s.calls.Add(1)))
	if rng.IntN(2) == 0 {
		ctx = context.WithoutCancel(ctx)
	}
	for i, k := range ids {
		early, _ := tokensOf(k)
		e.At(i).AddToken(early...)
	}
	if err := swarmtest.Pause(ctx, delay(rng)); err != nil {
		return nil, err
	}
	rows := make(map[int]item, len(ids))
	for _, k := range ids {
		r := &s.board.rows[k]
		rows[k] = item{k, r.version.Load()}
		r.note(s.process, opLoaded, rows[k].Version)
	}
	e.TTL = 50*time.Millisecond + upTo(rng, 450*time.Millisecond)
	for i, k := range ids {
		if isQuiet(k) || isRegional(k) && k%2 == 0 {
			e.At(i).TTL = time.Hour // only a write takes it away
		}
	}
	return rows, s.nameLate(ctx, rng, ids, e)
}

// nameLate names the tokens that are known only now, and takes its time before
// or after.
func (s *source) nameLate(ctx context.Context, rng *rand.Rand, ids []int, e *cache.Entry) (err error) {
	if rng.IntN(2) == 0 {
		err = swarmtest.Pause(ctx, delay(rng))
	} else {
		defer func() { err = swarmtest.Pause(ctx, delay(rng)) }()
	}
	for i, k := range ids {
		entry := e.At(i)
		if _, late := tokensOf(k); rng.IntN(4) == 0 {
			entry.Tokens = append(slices.Clip(entry.Tokens), late...)
		} else {
			entry.AddToken(late...)
		}
	}
	return err
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

// larder reads in all the ways that package cache has, in turn.
type larder struct {
	loading  *cache.Loading[int, item]
	declared *cache.Loading[int, item] // of keys whose entries all carry the same token
	regions  *region.Registry
	source   *source
	turn     atomic.Uint64
}

func newLarder(c cache.Cache, s *source) *larder {
	regions, err := region.New(c)
	if err != nil {
		panic(err) // the test is told that the worker ended by itself
	}
	opts := cache.LoadingOptions[int, item]{
		AppendKey: func(dst []byte, id int) []byte { return append(dst, keyOf(id)...) },
		LoadMany:  s.load,
	}
	l := &larder{source: s, regions: regions, loading: cache.NewLoading(c, s.loadOne, &opts)}
	opts.Defaults.Tokens = []cache.Token{common}
	l.declared = cache.NewLoading(c, s.loadOne, &opts)
	return l
}

func keyOf(id int) string { return "k" + strconv.Itoa(id) }

// of returns the Loading that is in charge of a key.
func (l *larder) of(id int) *cache.Loading[int, item] {
	if isDeclared(id) {
		return l.declared
	}
	return l.loading
}

func (l *larder) get(ctx context.Context, id int) (got item, found bool, err error) {
	loading := l.of(id)
	switch l.turn.Add(1) % 4 {
	case 0:
		return loading.Typed().Get(ctx, keyOf(id))
	case 1:
		got, err = loading.Typed().GetOrCreateExclusive(ctx, keyOf(id), func(ctx context.Context, e *cache.Entry) (item, error) {
			return l.source.loadOne(ctx, id, e)
		})
	default:
		got, err = loading.Get(ctx, id)
	}
	return got, true, err
}

func (l *larder) getMany(ctx context.Context, ids []int) (map[int]item, error) {
	declared := slices.DeleteFunc(slices.Clone(ids), func(id int) bool { return !isDeclared(id) })
	others := slices.DeleteFunc(slices.Clone(ids), isDeclared)
	rows, err := l.loading.GetMany(ctx, others)
	if err != nil || len(declared) == 0 {
		return rows, err
	}
	more, err := l.declared.GetMany(ctx, declared)
	maps.Copy(rows, more)
	return rows, err
}

func (l *larder) expire(ctx context.Context, tokens ...cache.Token) error {
	return l.regions.Expire(ctx, tokens...)
}

func (l *larder) remove(ctx context.Context, id int) error { return l.of(id).Remove(ctx, id) }

// markTTL is how long a key is marked if its writer dies, and commitWithin how
// soon after it began a writer must have committed.
const (
	markTTL      = time.Second
	commitWithin = markTTL / 2
)

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
