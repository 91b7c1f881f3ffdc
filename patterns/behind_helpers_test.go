package patterns_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue"
)

// shelf is a source in memory, which fails as it is told.
type shelf struct {
	mu       sync.Mutex
	rows     map[int]string
	saves    int              // of one row, deletions included
	poisoned int              // of these, failed
	history  map[int][]string // what was saved of each id, "-" for a deletion
	fail     func(id int, v string) error
	block    chan struct{} // if not nil, saves wait for it to be closed, or for their context
	add      bool          // saves are increments
}

func newShelf() *shelf { return &shelf{rows: map[int]string{}, history: map[int][]string{}} }

func (s *shelf) Find(ctx context.Context, id int) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.rows[id]
	if !ok {
		return "", cache.ErrNotFound
	}
	return v, nil
}

func (s *shelf) Save(ctx context.Context, id int, v string) error {
	return s.write(ctx, id, v, func() {
		if s.add {
			v = s.rows[id] + v
		}
		s.rows[id] = v
	})
}

func (s *shelf) Delete(ctx context.Context, id int) error {
	return s.write(ctx, id, "-", func() { delete(s.rows, id) })
}

func (s *shelf) write(ctx context.Context, id int, v string, change func()) error {
	s.mu.Lock()
	block := s.block
	s.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	if s.fail != nil {
		if err := s.fail(id, v); err != nil {
			s.poisoned++
			return err
		}
	}
	s.history[id] = append(s.history[id], v)
	change()
	return nil
}

func (s *shelf) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *shelf) has(t *testing.T, want map[int]string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !maps.Equal(s.rows, want) {
		t.Errorf("the source has %v, want %v", s.rows, want)
	}
}

// batchShelf is a shelf with SaveMany, all or none.
type batchShelf struct {
	*shelf
	batches []int // their sizes
}

func (s *batchShelf) SaveMany(ctx context.Context, values map[int]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, len(values))
	for id, v := range values {
		if s.fail != nil {
			if err := s.fail(id, v); err != nil {
				return err
			}
		}
	}
	for id, v := range values {
		s.rows[id] = v
		s.history[id] = append(s.history[id], v)
	}
	return nil
}

// behindBench is a WriteBehind with what is around it.
type behindBench struct {
	*testing.T
	*patterns.WriteBehind[int, string]
	ctx    context.Context
	source *shelf
	queue  *queue.Memory
	cache  *memory.Cache
	view   *cache.Typed[string]

	mu   sync.Mutex
	dead []patterns.DeadLetter[int, string]

	full atomic.Int64 // how often it was observed that the queue is full
}

type behindOptions = patterns.WriteBehindOptions[int, string]

// newBehindBench returns a WriteBehind over a shelf; inner, if not nil, is put around
// that.
func newBehindBench(t *testing.T, opts behindOptions, limits *queue.MemoryOptions, inner func(*shelf) patterns.Repository[int, string]) *behindBench {
	t.Helper()
	b := &behindBench{T: t, ctx: t.Context(), source: newShelf()}
	var err error
	if b.queue, err = queue.NewMemory(limits); err != nil {
		t.Fatal(err)
	}
	if b.cache, err = memory.New(nil); err != nil {
		t.Fatal(err)
	}
	b.view = cache.NewTyped[string](b.cache, nil)
	opts.OnDead = func(_ context.Context, l patterns.DeadLetter[int, string]) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.dead = append(b.dead, l)
	}
	opts.Observer = cache.ObserverFunc(func(_ context.Context, e cache.Event) {
		if e.Kind == cache.EventQueueFull {
			b.full.Add(1)
		}
	})
	var repo patterns.Repository[int, string] = b.source
	if inner != nil {
		repo = inner(b.source)
	}
	b.WriteBehind, err = patterns.NewWriteBehind(b.ctx, b.cache, repo, b.queue, shelfEntity, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		_ = b.Close(ctx)
		_ = b.cache.Close(ctx)
	})
	return b
}

func shelfKey(id int) string { return fmt.Sprint("shelf:", id) }

var shelfEntity = patterns.Entity[int, string]{
	AppendKey: func(dst []byte, id int) []byte { return append(dst, shelfKey(id)...) },
}

// letters returns what OnDead was called with so far. The workers may be a moment
// behind what Flush waits for.
func (b *behindBench) letters() []patterns.DeadLetter[int, string] {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.dead)
}

func (b *behindBench) save(id int, v string) {
	b.Helper()
	if err := b.Save(b.ctx, id, v); err != nil {
		b.Fatalf("Save: got %v, want no error", err)
	}
}

// finds checks what Find returns; "" is cache.ErrNotFound.
func (b *behindBench) finds(id int, want string) {
	b.Helper()
	got, err := b.Find(b.ctx, id)
	if want == "" && errors.Is(err, cache.ErrNotFound) {
		return
	}
	if got != want || err != nil {
		b.Errorf("Find: got %q, %v; want %q", got, err, want)
	}
}

func (b *behindBench) flush() {
	b.Helper()
	if err := b.Flush(b.ctx); err != nil {
		b.Fatalf("Flush: got %v, want no error", err)
	}
}

func (b *behindBench) stats() patterns.WriteBehindStats {
	b.Helper()
	st, err := b.Stats(b.ctx)
	if err != nil {
		b.Fatalf("Stats: got %v, want no error", err)
	}
	return st
}
