package memory

import (
	"context"
	"sync"
	"time"
)

// janitor is the cache's one goroutine: once a second it reclaims what expired,
// so that memory is given back, and expirations reported, though nobody calls.
type janitor struct {
	// Immutable.
	tidy func()
	quit chan struct{}
	done chan struct{}

	once sync.Once
}

const tidyInterval = time.Second

func startJanitor(tidy func()) *janitor {
	j := &janitor{tidy: tidy, quit: make(chan struct{}), done: make(chan struct{})}
	go j.run()
	return j
}

func (j *janitor) run() {
	defer close(j.done)
	tick := time.NewTicker(tidyInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			j.tidy()
		case <-j.quit:
			return
		}
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
