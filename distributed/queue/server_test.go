package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	redisqueue "github.com/larder-go/larder/distributed/queue"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/queue"
)

// A server without memory takes no writes, and gives out what it has.
func TestServerOutOfMemory(t *testing.T) {
	server := redistest.Server(t, "--maxmemory-policy", "noeviction")
	q := open(t, server.Client(), redisqueue.Options{Partitions: 1})
	ctx := t.Context()
	for i := range 40 {
		if _, err := q.Enqueue(ctx, queue.Write{Key: fmt.Sprint("key", i), Payload: make([]byte, 1000)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Client().ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := q.Enqueue(ctx, queue.Write{Key: "more", Payload: make([]byte, 1000)})
	if !errors.Is(err, queue.ErrFull) {
		t.Errorf("Enqueue: got %v, want ErrFull", err)
	}
	if _, err := q.NextSequence(ctx, "more"); err != nil {
		t.Errorf("NextSequence: got %v, want no error: writes go past a full queue", err)
	}
	results := []queue.Result{queue.Done, queue.Failed, queue.Dead, queue.Deferred}
	claims, err := q.Claim(ctx, queue.ClaimOptions{Max: 100, Visibility: time.Minute})
	if err != nil || len(claims) != 40 {
		t.Fatalf("Claim: got %d, %v; want 40", len(claims), err)
	}
	outcomes := make([]queue.Outcome, len(claims))
	for i, c := range claims {
		outcomes[i] = queue.Outcome{Claim: c, Result: results[i%4]}
	}
	if _, err := q.Settle(ctx, outcomes); err != nil {
		t.Fatalf("Settle: got %v, want no error", err)
	}
	if letters, err := q.Dead(ctx, "", 1); err != nil || len(letters) != 1 || q.Revive(ctx, letters[0].Key, letters[0].Sequence) != nil {
		t.Errorf("Dead and Revive: got %d, %v; want a letter that is retried", len(letters), err)
	}
	if st, err := q.Stats(ctx); err != nil || st.Queued+st.Dead != 30 || st.Dead != 9 || st.Rejected != 1 {
		t.Errorf("Stats: got %+v, %v; want 21 queued, 9 dead, 1 rejected", st, err)
	}
}

// What a server acknowledged is there when it was killed, as it was.
func TestServerKilled(t *testing.T) {
	server := redistest.Server(t, durable...)
	q := open(t, server.Client(), redisqueue.Options{})
	ctx := t.Context()
	last := map[string]uint64{}
	var mu sync.Mutex
	var writing sync.WaitGroup
	for w := range 4 {
		writing.Go(func() {
			for i := range 100 {
				key := fmt.Sprint("key", w, i%10)
				sequence, err := q.Enqueue(ctx, queue.Write{Key: key, Payload: []byte(fmt.Sprint(i))})
				if errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrOutcomeUnknown) {
					return // the server is gone
				}
				if err != nil {
					t.Errorf("Enqueue: got %v", err)
					return
				}
				mu.Lock()
				if sequence <= last[key] {
					t.Errorf("Enqueue: got sequence %d after %d", sequence, last[key])
				}
				last[key] = sequence
				enough := len(last) >= 30
				mu.Unlock()
				if w == 0 && enough {
					server.Kill()
				}
			}
		})
	}
	writing.Wait()
	server.Restart()
	waitFor(t, q)
	for key, sequence := range last {
		states, err := q.Lookup(ctx, []string{key})
		if err != nil || states[0].Open == nil || states[0].Open.Sequence < sequence {
			t.Fatalf("Lookup after the restart: got %+v, %v; want sequence %d at least", states, err, sequence)
		}
		if next, err := q.Enqueue(ctx, queue.Write{Key: key}); err != nil || next <= sequence {
			t.Fatalf("Enqueue after the restart: got sequence %d, %v; want one over %d", next, err, sequence)
		}
	}
}

// waitFor waits until the breaker lets calls through again.
func waitFor(t *testing.T, q *redisqueue.Queue) {
	t.Helper()
	var err error
	for range 500 {
		if _, err = q.Stats(t.Context()); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond) // the server tells nobody when it is back
	}
	t.Fatal(err)
}

// A write that was sent and not answered may be there.
func TestServerFrozen(t *testing.T) {
	server := redistest.Server(t)
	q := open(t, server.Client(), redisqueue.Options{Budget: 200 * time.Millisecond})
	ctx := t.Context()
	if _, err := q.Enqueue(ctx, queue.Write{Key: "a", Payload: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	_, err := q.Enqueue(ctx, queue.Write{Key: "a", Payload: []byte("2")})
	if !errors.Is(err, cache.ErrOutcomeUnknown) {
		t.Errorf("Enqueue: got %v, want ErrOutcomeUnknown", err)
	}
	if _, err := q.Lookup(ctx, []string{"a"}); !errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("Lookup: got %v, want ErrUnavailable", err)
	}
	server.Cont()
	waitFor(t, q)
	states, err := q.Lookup(ctx, []string{"a"})
	if err != nil || states[0].Open == nil || states[0].Open.Writes > 2 {
		t.Errorf("Lookup: got %+v, %v; want the write at most once", states, err)
	}
}

// One node of a cluster that is gone keeps only its own partitions waiting.
func TestNodeGone(t *testing.T) {
	cluster := redistest.Cluster(t, 3, "--cluster-require-full-coverage", "no")
	q := open(t, cluster.Client(), redisqueue.Options{Partitions: 16, Budget: time.Second})
	ctx := t.Context()
	for i := range 64 {
		if _, err := q.Enqueue(ctx, queue.Write{Key: fmt.Sprint("key", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if n, err := cluster.Node(i).Client().DBSize(ctx).Result(); err != nil || n == 0 {
			t.Errorf("node %d: got %d keys, %v; want some", i, n, err)
		}
	}
	cluster.Node(1).Kill()
	got := 0
	for range 10 {
		claims, err := q.Claim(ctx, queue.ClaimOptions{Max: 64, Visibility: time.Hour})
		got += len(claims)
		if err != nil && strings.Contains(err.Error(), "key") {
			t.Errorf("Claim: the error names a key: %v", err)
		}
	}
	if got == 0 || got == 64 {
		t.Errorf("Claim: got %d of 64, want those of two nodes", got)
	}
}

func TestClaimBoundsItsAnswer(t *testing.T) {
	server := redistest.Server(t)
	q := open(t, server.Client(), redisqueue.Options{Partitions: 1})
	ctx := t.Context()
	for i := range 8 {
		if _, err := q.Enqueue(ctx, queue.Write{Key: fmt.Sprint("key", i), Payload: make([]byte, 1<<20)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{4, 4, 0} {
		claims, err := q.Claim(ctx, queue.ClaimOptions{Max: 100, Visibility: time.Hour})
		if err != nil || len(claims) != want {
			t.Errorf("Claim: got %d, %v; want %d", len(claims), err, want)
		}
	}
}

func TestManyDeadLetters(t *testing.T) {
	server := redistest.Server(t)
	q := open(t, server.Client(), redisqueue.Options{Partitions: 2})
	ctx := t.Context()
	const many = 1000
	for i := range many {
		if _, err := q.Enqueue(ctx, queue.Write{Key: fmt.Sprintf("key%04d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for {
		claims, err := q.Claim(ctx, queue.ClaimOptions{Max: many, Visibility: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if len(claims) == 0 {
			break
		}
		outcomes := make([]queue.Outcome, len(claims))
		for i, c := range claims {
			outcomes[i] = queue.Outcome{Claim: c, Result: queue.Dead}
		}
		if _, err := q.Settle(ctx, outcomes); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{1, 200, 399, many, 1_000_000} {
		letters, err := q.Dead(ctx, "key0000", limit)
		if err != nil || len(letters) != min(limit, many-1) {
			t.Fatalf("Dead: got %d letters, %v; want %d", len(letters), err, min(limit, many-1))
		}
		for i, l := range letters {
			if want := fmt.Sprintf("key%04d", i+1); l.Key != want {
				t.Fatalf("Dead: got %s at %d, want %s", l.Key, i, want)
			}
		}
	}
}

func TestBytesAreLimited(t *testing.T) {
	client := redistest.MiniClient(t, redistest.Mini(t))
	q := open(t, client, redisqueue.Options{Partitions: 1, MaxBytes: 10})
	put := func(key, payload string) error {
		_, err := q.Enqueue(context.Background(), queue.Write{Key: key, Payload: []byte(payload)})
		return err
	}
	for _, c := range []struct {
		key, payload string
		want         error
	}{
		{"a", "1234567890", queue.ErrTooLarge}, {"a", "12345678", nil}, {"b", "1", queue.ErrFull},
		{"a", "1234567", nil}, {"b", "1", nil}, {"b", "12", queue.ErrFull}, {"a", "", nil}, {"b", "123456", nil},
	} {
		if err := put(c.key, c.payload); !errors.Is(err, c.want) {
			t.Errorf("Enqueue of %s, %s: got %v, want %v", c.key, c.payload, err, c.want)
		}
	}
}
