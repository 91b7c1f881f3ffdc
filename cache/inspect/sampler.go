package inspect

import (
	"context"
	"slices"
	"time"

	"github.com/larder-go/larder/cache"
)

// frame is one sample: the numbers of every source and series that there were.
type frame struct {
	at        time.Time
	stats     []cache.Stats // by the index of their source
	durations []quantiles   // by the index of their series
}

// ring holds the latest frames: as many as it has capacity for.
type ring struct {
	frames []frame
	oldest int // once it is full
}

// push adds f, in place of the oldest one if the ring is full.
func (r *ring) push(f frame) {
	if len(r.frames) < cap(r.frames) {
		r.frames = append(r.frames, f)
		return
	}
	r.frames[r.oldest] = f
	r.oldest = (r.oldest + 1) % len(r.frames)
}

// list returns the frames, oldest first.
func (r *ring) list() []frame {
	return slices.Concat(r.frames[r.oldest:], r.frames[:r.oldest])
}

// run samples until ctx ends.
func (i *Inspector) run(ctx context.Context) {
	defer close(i.sampling)
	ticker := time.NewTicker(i.opts.Interval)
	defer ticker.Stop()
	for {
		i.sample(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sample takes one frame. The caches are asked without a lock.
func (i *Inspector) sample(now time.Time) {
	i.mu.Lock()
	sources := i.sources
	i.mu.Unlock()
	f := frame{at: now, stats: make([]cache.Stats, len(sources))}
	for n, s := range sources {
		f.stats[n] = s.numbers()
	}
	f.durations = i.durations.take()

	i.mu.Lock()
	defer i.mu.Unlock()
	i.samples.push(f)
}

// numbers returns the stats of the source. One that panics has none: it must not
// end a process for having been looked at.
func (s *source) numbers() (stats cache.Stats) {
	defer func() {
		if recover() != nil {
			stats = cache.Stats{}
		}
	}()
	return s.stats.Stats()
}
