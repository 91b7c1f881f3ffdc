package memory

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// janitor is the cache's one goroutine. Once a second it reclaims what expired,
// so that memory is given back, and expirations reported, though nobody calls;
// and it does the engine's maintenance that readers ask for.
//
// When nothing expired for a while it looks at all entries for the next that
// will, and rests until then. So an idle cache costs nothing, and a test may
// let years pass on a synthetic clock.
type janitor struct {
	// Immutable.
	cache *Cache
	work  chan func()   // one slot: maintenance is the same whoever asks
	wake  chan struct{} // one slot
	quit  chan struct{}
	done  chan struct{}
	once  sync.Once

	// Confined to run.
	quiet int // ticks since something expired

	// Shared.
	rest atomic.Int64 // it rests until then; 0: it does not
}

const (
	tidyInterval = time.Second
	quietTicks   = 64
)

func newJanitor(c *Cache) *janitor {
	return &janitor{
		cache: c,
		work:  make(chan func(), 1),
		wake:  make(chan struct{}, 1),
		quit:  make(chan struct{}),
		done:  make(chan struct{}),
	}
}

func (j *janitor) run() {
	defer close(j.done)
	timer := time.NewTimer(tidyInterval)
	defer timer.Stop()
	for {
		select {
		case work := <-j.work:
			work()
			j.cache.settle()
		case <-timer.C:
			j.rest.Store(0)
			j.count(j.cache.tidy())
			timer.Reset(j.pause())
		case <-j.wake:
			j.quiet = 0
			timer.Reset(tidyInterval)
		case <-j.quit:
			return
		}
	}
}

func (j *janitor) count(expired uint64) {
	j.quiet++
	if expired > 0 {
		j.quiet = 0
	}
}

// pause returns how long to wait for the next tick. Who stores an entry calls
// expect afterwards, so either the search below finds the entry, or expect
// finds the janitor about to rest and ends that.
func (j *janitor) pause() time.Duration {
	if j.quiet < quietTicks {
		return tidyInterval
	}
	j.quiet = 0
	j.rest.Store(never)
	next := j.cache.nextReclaim()
	if !j.rest.CompareAndSwap(never, next) {
		return tidyInterval
	}
	return max(tidyInterval, time.Duration(next-j.cache.now()))
}

// expect has the janitor awake at that time, for what is in the table already.
// It costs an atomic read.
func (j *janitor) expect(at int64) {
	if at >= j.rest.Load() {
		return
	}
	j.rest.Store(0)
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// ask has the janitor do the engine's maintenance. It does not wait.
func (j *janitor) ask(work func()) {
	select {
	case j.work <- work:
	default:
	}
}

// stop ends the goroutine and waits for it until ctx ends. It is idempotent.
func (j *janitor) stop(ctx context.Context) error {
	j.once.Do(func() { close(j.quit) })
	select {
	case <-j.done:
		return nil
	default:
	}
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
