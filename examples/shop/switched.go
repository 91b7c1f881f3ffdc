package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue"
)

// The patterns that an entity can have.
const (
	uncached = "no cache"
	aside    = "cache-aside"
	through  = "write-through"
	behind   = "write-behind"
)

// repository is what all wrappers and tables here are.
type repository[V any] interface {
	patterns.Repository[int, V]
	patterns.ManyFinder[int, V]
}

// switched is a repository whose pattern can be changed while it is in use. All
// patterns share the entity's key, so what one has cached the next one finds. A
// service has one pattern for an entity and needs none of this.
type switched[V any] struct {
	name   string
	cache  cache.Cache
	source repository[V]
	rows   *meter // reads of the source
	entity patterns.Entity[int, V]
	queue  *patterns.WriteBehind[int, V] // nil: not to be had
	reads  meter

	// mu is read-locked during calls, so that a switch falls between them.
	mu      sync.RWMutex
	pattern string
	choices map[string]repository[V]
	order   []string
}

func newSwitched[V any](c cache.Cache, name string, source repository[V], rows *meter, entity patterns.Entity[int, V]) (*switched[V], error) {
	s := &switched[V]{name: name, cache: c, source: source, rows: rows, entity: entity, choices: map[string]repository[V]{}}
	a, err := patterns.NewCacheAside(c, patterns.Repository[int, V](source), entity)
	if err != nil {
		return nil, err
	}
	// Without a cache means that nothing is read from it: writes still invalidate.
	s.offer(uncached, invalidating[V]{CacheAside: a, source: source})
	s.offer(aside, a)
	return s, nil
}

// offer adds a pattern, which is in use until another is offered or chosen.
func (s *switched[V]) offer(pattern string, r repository[V]) {
	s.choices[pattern] = r
	s.order = append(s.order, pattern)
	s.pattern = pattern
}

// addThrough offers write-through.
func (s *switched[V]) addThrough() error {
	t, err := patterns.NewWriteThrough(s.cache, patterns.Repository[int, V](s.source), s.entity, nil)
	if err == nil {
		s.offer(through, t)
	}
	return err
}

// addBehind offers write-behind on q.
func (s *switched[V]) addBehind(ctx context.Context, q queue.Queue, opts patterns.WriteBehindOptions[int, V]) (err error) {
	s.queue, err = patterns.NewWriteBehind(ctx, s.cache, patterns.Repository[int, V](s.source), q, s.entity, &opts)
	if err == nil {
		s.offer(behind, s.queue)
	}
	return err
}

// invalidating reads the source and writes like a cache-aside.
type invalidating[V any] struct {
	*patterns.CacheAside[int, V]
	source repository[V]
}

func (i invalidating[V]) Find(ctx context.Context, id int) (V, error) { return i.source.Find(ctx, id) }

func (i invalidating[V]) FindMany(ctx context.Context, ids []int) (map[int]V, error) {
	return i.source.FindMany(ctx, ids)
}

// pinned is the key under which a transaction's context has its repository.
type pinned[V any] struct{ *switched[V] }

// use returns the repository of the present pattern, which stays until done.
func (s *switched[V]) use(ctx context.Context) (r repository[V], done func()) {
	if r, ok := ctx.Value(pinned[V]{s}).(repository[V]); ok {
		return r, func() {}
	}
	s.mu.RLock()
	return s.choices[s.pattern], s.mu.RUnlock
}

// Find implements patterns.Repository.
func (s *switched[V]) Find(ctx context.Context, id int) (V, error) {
	r, done := s.use(ctx)
	defer done()
	defer s.reads.measure(1)()
	return r.Find(ctx, id)
}

// FindMany implements patterns.ManyFinder.
func (s *switched[V]) FindMany(ctx context.Context, ids []int) (map[int]V, error) {
	r, done := s.use(ctx)
	defer done()
	defer s.reads.measure(len(ids))()
	return r.FindMany(ctx, ids)
}

// Save implements patterns.Repository.
func (s *switched[V]) Save(ctx context.Context, id int, v V) error {
	r, done := s.use(ctx)
	defer done()
	return r.Save(ctx, id, v)
}

// Delete implements patterns.Repository.
func (s *switched[V]) Delete(ctx context.Context, id int) error {
	r, done := s.use(ctx)
	defer done()
	return r.Delete(ctx, id)
}

// Transact implements patterns.Transactor. A write-behind has no transactions:
// what it is given then is written one after the other.
func (s *switched[V]) Transact(ctx context.Context, do func(ctx context.Context) error) error {
	r, done := s.use(ctx)
	defer done()
	ctx = context.WithValue(ctx, pinned[V]{s}, r)
	if t, ok := r.(patterns.Transactor); ok {
		return t.Transact(ctx, do)
	}
	return do(ctx)
}

// errUnwritten refuses to leave the write-behind: the others do not look into its
// queue, and would show what is older.
var errUnwritten = errors.New("the queue still has writes or dead letters: start the database, retry or drop them first")

// choose makes pattern that of all calls that come after.
func (s *switched[V]) choose(ctx context.Context, pattern string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.choices[pattern] == nil {
		return fmt.Errorf("%s has no pattern %q", s.name, pattern)
	}
	if s.pattern == behind && pattern != behind {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		if err := s.queue.Flush(ctx); err != nil {
			return errUnwritten
		}
		if stats, err := s.queue.Stats(ctx); err != nil || stats.Queue.Queued+stats.Queue.Dead > 0 {
			return errUnwritten
		}
	}
	s.pattern = pattern
	s.reads.reset()
	s.rows.reset()
	return nil
}

// status is what the page shows of an entity.
type status struct {
	Name, Pattern string
	Patterns      []string
	Reads         int           // entities asked for
	SourceReads   int           // of these, read from the source
	Cached        time.Duration // median of the calls
	Source        time.Duration // median of the calls to the source
	Queue         *patterns.WriteBehindStats
	Letters       []letter
}

// Ratio returns how many per cent of the reads did without the source.
func (s status) Ratio() int {
	if s.Reads == 0 {
		return 0
	}
	return max(0, 100*(s.Reads-s.SourceReads)/s.Reads)
}

// letter is a dead letter.
type letter struct {
	Entity, Key string
	Sequence    uint64
	ID          int
	Value       string
	Attempts    int
	Reason      string
	Age         time.Duration
}

func (s *switched[V]) status(ctx context.Context) (status, error) {
	s.mu.RLock()
	st := status{Name: s.name, Pattern: s.pattern, Patterns: slices.Clone(s.order)}
	s.mu.RUnlock()
	st.Reads, st.Cached = s.reads.figures()
	st.SourceReads, st.Source = s.rows.figures()
	if s.queue == nil {
		return st, nil
	}
	stats, err := s.queue.Stats(ctx)
	if err != nil {
		return st, err
	}
	st.Queue = &stats
	letters, err := s.queue.DeadLetters(ctx, "", 100)
	for _, l := range letters {
		st.Letters = append(st.Letters, letter{Entity: s.name, Key: l.Key, Sequence: l.Sequence, ID: l.ID,
			Value: fmt.Sprintf("%+v", l.Value), Attempts: l.Attempts, Reason: l.Reason, Age: l.Age})
	}
	return st, err
}

// settle retries or drops a dead letter.
func (s *switched[V]) settle(ctx context.Context, key string, sequence uint64, retry bool) error {
	switch {
	case s.queue == nil:
		return queue.ErrNoDeadLetter
	case retry:
		return s.queue.RetryDeadLetter(ctx, key, sequence)
	}
	return s.queue.DropDeadLetter(ctx, key, sequence)
}

// compare reads n entities one by one, from the source and as the pattern does,
// so that there is something to see.
func (s *switched[V]) compare(ctx context.Context, n int) error {
	for id := 1; id <= n; id++ {
		if _, err := s.source.Find(ctx, id); err != nil && !errors.Is(err, cache.ErrNotFound) {
			return err
		}
		s.rows.uncount(1)
		if _, err := s.Find(ctx, id); err != nil && !errors.Is(err, cache.ErrNotFound) {
			return err
		}
	}
	return nil
}
