package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/queue"
	"github.com/larder-go/larder/internal/redistest"
	base "github.com/larder-go/larder/queue"
)

// leavers call a queue on many keys, and leave what takes long. What they gave is
// their own again then, and so is what they got: they write to both at once, so that
// the race detector sees who still uses them.
type leavers struct {
	queue   *queue.Queue
	calls   atomic.Int64
	left    atomic.Int64 // calls that ended without an answer
	strange atomic.Int64 // payloads that nobody enqueued
}

// check spoils a payload that a call returned, after a look at it.
func (l *leavers) check(it *base.Item) {
	if it == nil {
		return
	}
	if !bytes.Equal(it.Payload, payloadOf(it.Key)) {
		l.strange.Add(1)
	}
	clear(it.Payload)
}

// run makes each call on a goroutine of its own.
func (l *leavers) run(ctx context.Context, all *sync.WaitGroup) {
	for i := range 24 {
		key := fmt.Sprint("key", i)
		for _, call := range []func() error{
			func() error { return l.enqueue(ctx, key) },
			func() error { return l.enqueue(ctx, key) }, // which coalesces, or goes alone
			func() error { return l.lookup(ctx, key) },
			func() error { return l.claim(ctx) },
			func() error { _, err := l.queue.Stats(ctx); return err },
		} {
			all.Go(func() {
				err := call()
				l.calls.Add(1)
				if errors.Is(err, cache.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
					l.left.Add(1)
				}
			})
		}
	}
}

func (l *leavers) enqueue(ctx context.Context, key string) error {
	payload := payloadOf(key)
	defer clear(payload)
	_, err := l.queue.Enqueue(ctx, base.Write{Key: key, Payload: payload})
	return err
}

func (l *leavers) lookup(ctx context.Context, key string) error {
	states, err := l.queue.Lookup(ctx, []string{key, "other"})
	for _, s := range states {
		l.check(s.Ahead)
		l.check(s.Open)
	}
	return err
}

func (l *leavers) claim(ctx context.Context) error {
	claims, err := l.queue.Claim(ctx, base.ClaimOptions{Max: 2, Visibility: time.Second})
	outcomes := make([]base.Outcome, len(claims))
	for i, c := range claims {
		l.check(&c.Item)
		outcomes[i] = base.Outcome{Claim: c, Result: base.Failed}
	}
	_, settleErr := l.queue.Settle(ctx, outcomes)
	clear(outcomes)
	return errors.Join(err, settleErr)
}

// A server that is frozen answers late: when those who asked have left, and use
// again what they gave. What it stored must be what they gave before.
func TestNobodyUsesWhatACallerLeft(t *testing.T) {
	server := redistest.Server(t)
	q, err := queue.New(server.Client(), &queue.Options{Budget: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close(context.Background()) })
	l := &leavers{queue: q}
	for i := range 8 {
		var leaving, all sync.WaitGroup
		server.Stop()
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+i)*2*time.Millisecond)
		l.run(ctx, &leaving)
		leaving.Wait()
		cancel()
		server.Cont()
		l.run(context.Background(), &all)
		all.Wait()
	}
	calls, left := l.calls.Load(), l.left.Load()
	if n := l.strange.Load(); n > 0 {
		t.Errorf("%d payloads that nobody enqueued", n)
	}
	if left == 0 || left == calls {
		t.Errorf("%d of %d calls were left", left, calls)
	}
}

// payloadOf returns what is enqueued of a key.
func payloadOf(key string) []byte { return bytes.Repeat([]byte(key), 50) }
