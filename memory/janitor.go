package memory

import (
	"context"
	"sync"
	"time"
)

// janitor is the cache's one goroutine. Once a second it reclaims what expired,
// so that memory is given back, and expirations reported, though nobody calls;
// and it does the engine's maintenance that readers ask for.
type janitor struct {
	// Immutable.
	work chan func() // one slot: maintenance is the same whoever asks
	quit chan struct{}
	done chan struct{}

	once sync.Once
}

const tidyInterval = time.Second

func newJanitor() *janitor {
	return &janitor{work: make(chan func(), 1), quit: make(chan struct{}), done: make(chan struct{})}
}

// start begins to call tidy once a second, and settle after each work.
func (j *janitor) start(tidy, settle func()) { go j.run(tidy, settle) }

func (j *janitor) run(tidy, settle func()) {
	defer close(j.done)
	tick := time.NewTicker(tidyInterval)
	defer tick.Stop()
	for {
		select {
		case work := <-j.work:
			work()
			settle()
		case <-tick.C:
			tidy()
		case <-j.quit:
			return
		}
	}
}

// ask has the goroutine do the engine's maintenance. It does not wait.
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
