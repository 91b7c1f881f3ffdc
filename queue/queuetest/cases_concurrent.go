package queuetest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/larder-go/larder/queue"
)

func concurrentCases() []testCase {
	return []testCase{
		{"Concurrent/nothing lost, nothing out of order", "Whatever many writers and workers do at once, the source ends with the last write of each key and sees sequences rise.", func(e *env) {
			s := e.open()
			const keys, writers, writes = 5, 4, 40
			r := &race{subject: s, source: map[string]uint64{}, last: map[string]uint64{}}
			var writing sync.WaitGroup
			for w := range writers {
				writing.Go(func() {
					for i := range writes {
						r.enqueue(fmt.Sprint("key", (w+i)%keys))
					}
				})
			}
			done := make(chan struct{})
			var working sync.WaitGroup
			for range 3 {
				working.Go(func() { r.work(done) })
			}
			writing.Wait()
			close(done)
			working.Wait()
			r.check(keys)
		}},
	}
}

// race is a queue that many goroutines use, and its source.
type race struct {
	subject

	mu     sync.Mutex
	source map[string]uint64 // the sequence that the source has
	last   map[string]uint64 // the highest sequence accepted
	errs   []string
}

func (r *race) report(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, fmt.Sprintf(format, args...))
}

func (r *race) enqueue(key string) {
	sequence, err := r.Enqueue(r.ctx, queue.Write{Key: key, Payload: []byte("x")})
	if err != nil {
		r.report("Enqueue: got %v", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[key] = max(r.last[key], sequence)
}

// work writes until nothing is queued and no more comes.
func (r *race) work(done <-chan struct{}) {
	for {
		ended := false
		select {
		case <-done:
			ended = true
		default:
		}
		claims, err := r.Claim(r.ctx, queue.ClaimOptions{Max: 2, Visibility: long})
		if err != nil {
			r.report("Claim: got %v", err)
			return
		}
		for _, c := range claims {
			r.write(c)
		}
		if st, err := r.Stats(r.ctx); err != nil || ended && st.Queued == 0 {
			return
		}
		if len(claims) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

func (r *race) write(c queue.Claim) {
	o := queue.Outcome{Claim: c, Result: queue.Done}
	if rand.IntN(5) == 0 {
		o.Result = queue.Failed
	} else {
		r.apply(c)
	}
	if got, err := r.Settle(r.ctx, []queue.Outcome{o}); err != nil || got[0] == queue.SettledLost {
		r.report("Settle: got %v, %v", got, err)
	}
}

func (r *race) apply(c queue.Claim) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Sequence <= r.source[c.Key] {
		r.errs = append(r.errs, fmt.Sprintf("the source got sequence %d after %d", c.Sequence, r.source[c.Key]))
	}
	r.source[c.Key] = c.Sequence
}

func (r *race) check(keys int) {
	if len(r.errs) > 0 {
		r.fail("%d errors, the first: %s", len(r.errs), r.errs[0])
	}
	for i := range keys {
		key := "key" + strconv.Itoa(i)
		if r.source[key] != r.last[key] {
			r.fail("the source has sequence %d, the last accepted was %d", r.source[key], r.last[key])
		}
		r.newest(key, "")
	}
}
