package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	redisqueue "github.com/larder-go/larder/distributed/queue"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/queue"
)

// Few writers do not wait for each other. Who does wait, and leaves before the write
// was sent, knows that it was not.
func TestLeavingBeforeItIsSent(t *testing.T) {
	server := redistest.Server(t)
	q := open(t, server.Client(), redisqueue.Options{Partitions: 1, Budget: 5 * time.Second, Prefix: "p"})
	frozen := func(each [3]context.Context, check func(error)) (all *sync.WaitGroup) {
		all = new(sync.WaitGroup)
		server.Stop()
		for i, ctx := range each {
			all.Go(func() {
				_, err := q.Enqueue(ctx, queue.Write{Key: fmt.Sprint("sent ", i)})
				check(err)
			})
			time.Sleep(30 * time.Millisecond) // for it to be under way: nobody tells
		}
		return all
	}
	connected := frozen([3]context.Context{t.Context(), t.Context(), t.Context()}, func(err error) {
		if err != nil {
			t.Errorf("Enqueue: got %v", err)
		}
	})
	server.Cont()
	connected.Wait()

	// As half of the three writers there are, the second and the third do not wait for
	// the first, who is still there when they leave.
	first, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	next, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	all := frozen([3]context.Context{first, next, next}, func(err error) {
		if !errors.Is(err, cache.ErrOutcomeUnknown) {
			t.Errorf("Enqueue that was sent: got %v, want ErrOutcomeUnknown", err)
		}
	})
	last, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := q.Enqueue(last, queue.Write{Key: "last"})
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, cache.ErrOutcomeUnknown) {
		t.Errorf("Enqueue that waits behind: got %v, want the context's error alone", err)
	}
	all.Wait()
	server.Cont()
	waitFor(t, q)
	if states, err := q.Lookup(t.Context(), []string{"last"}); err != nil || states[0].Newest() != nil {
		t.Errorf("Lookup: got %+v, %v; want nothing", states, err)
	}
}

// Writes that share a script are told apart, whatever becomes of them.
func TestWritesShareScripts(t *testing.T) {
	server := redistest.Server(t)
	q := open(t, server.Client(), redisqueue.Options{Partitions: 1})
	ctx := t.Context()
	const keys, writers = 100, 200
	claimed := map[string]bool{}
	for i := range keys / 2 {
		if _, err := q.Enqueue(ctx, queue.Write{Key: fmt.Sprint("key", i)}); err != nil {
			t.Fatal(err)
		}
	}
	claims, err := q.Claim(ctx, queue.ClaimOptions{Max: keys / 4, Visibility: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range claims {
		claimed[c.Key] = true
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	last := map[string]uint64{}
	for w := range writers {
		all.Go(func() {
			for i := range 20 {
				key := fmt.Sprint("key", (w*7+i)%keys)
				sequence, err := q.Enqueue(ctx, queue.Write{Key: key, Payload: []byte(key)})
				if err != nil {
					t.Errorf("Enqueue: got %v", err)
					return
				}
				mu.Lock()
				last[key] = max(last[key], sequence)
				mu.Unlock()
				_, err = q.Enqueue(ctx, queue.Write{Key: key, Payload: []byte("merge"), Mode: queue.Merge, Onto: 1})
				if !errors.Is(err, queue.ErrConflict) {
					t.Errorf("Enqueue onto nothing: got %v, want ErrConflict", err)
				}
			}
		})
	}
	all.Wait()
	for key, sequence := range last {
		states, err := q.Lookup(ctx, []string{key})
		if err != nil || states[0].Open == nil {
			t.Fatalf("Lookup: got %+v, %v; want an open item", states, err)
		}
		if it := states[0].Open; it.Sequence != sequence || string(it.Payload) != key || (states[0].Ahead != nil) != claimed[key] {
			t.Errorf("Lookup: got sequence %d, own payload %t, one ahead %t; want %d, true, %t",
				it.Sequence, string(it.Payload) == key, states[0].Ahead != nil, sequence, claimed[key])
		}
	}
	if st, err := q.Stats(ctx); err != nil || st.Queued != keys+keys/4 || st.Enqueued != writers*20+keys/2 {
		t.Errorf("Stats: got %+v, %v; want %d queued, %d enqueued", st, err, keys+keys/4, writers*20+keys/2)
	}
}

func TestCloseWhileWriting(t *testing.T) {
	server := redistest.Server(t)
	q, err := redisqueue.New(server.Client(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for w := range 50 {
		all.Go(func() {
			for i := 0; ; i++ {
				_, err := q.Enqueue(t.Context(), queue.Write{Key: fmt.Sprint("key", w, i%10)})
				if errors.Is(err, cache.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("Enqueue: got %v, want none or ErrClosed", err)
					return
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // for the writers to be at it
	if err := q.Close(t.Context()); err != nil {
		t.Errorf("Close: got %v, want no error", err)
	}
	all.Wait()
}

// Writes that find no room in the script that waits are the next one: each in a
// script of its own would cost the server many times as much.
func TestManyWritersShareScripts(t *testing.T) {
	server := redistest.Server(t)
	q := open(t, server.Client(), redisqueue.Options{})
	const writers = 300
	key := func(i int) string { return fmt.Sprint("key", i) }
	if _, err := q.Enqueue(t.Context(), queue.Write{Key: key(writers)}); err != nil { // it is connected, and the script known
		t.Fatal(err)
	}
	if err := server.Client().ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			if _, err := q.Enqueue(t.Context(), queue.Write{Key: key(i)}); err != nil {
				t.Errorf("Enqueue: got %v, want no error", err)
			}
		})
	}
	time.Sleep(200 * time.Millisecond) // for the writers to wait: nobody tells
	server.Cont()
	all.Wait()
	stats, err := server.Client().InfoMap(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	var calls int
	if _, err := fmt.Sscanf(stats["Commandstats"]["cmdstat_evalsha"], "calls=%d", &calls); err != nil || calls < writers/64 || calls > writers/10 {
		t.Errorf("%d writes were %d scripts, %v; want few", writers, calls, err)
	}
	if st, err := q.Stats(t.Context()); err != nil || st.Queued != writers+1 {
		t.Errorf("Stats: got %d queued, %v; want %d", st.Queued, err, writers+1)
	}
}
