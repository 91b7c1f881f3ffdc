package near

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/tracking"
)

// A barrier that a writer had to repeat may come twice from one primary, before the
// news of the change have come from another.
func TestABarrierCountsOncePerPrimary(t *testing.T) {
	leaseRig(t, func(r *rig) {
		r.heard(0)
		sub := r.mini.NewSubscriber()
		sub.Subscribe(r.near.tier.Channel(ackName + "writer"))
		var acknowledged atomic.Int64
		go func() {
			for range sub.Messages() {
				acknowledged.Add(1)
			}
		}()
		defer sub.Close()
		for _, step := range []struct{ from, want int64 }{{0, 0}, {0, 0}, {1, 1}} {
			barrier := tracking.Message{Channel: r.near.tier.Channel(registryName), Payload: "writer 1", From: int(step.from), Of: 2}
			r.hand.Message(barrier)
			synctest.Wait()
			if n := acknowledged.Load(); n != step.want {
				t.Errorf("a barrier from primary %d: got %d acknowledgements, want %d", step.from, n, step.want)
			}
		}
	})
}

// A node that hears of barriers while it cannot answer does so when it can: its
// writers need not wait for the end of its lease.
func TestAnAcknowledgementThatFailedIsRepeated(t *testing.T) {
	leaseRig(t, func(r *rig) {
		r.heard(0)
		sub := r.mini.NewSubscriber()
		for _, writer := range []string{"writer", "other"} {
			sub.Subscribe(r.near.tier.Channel(ackName + writer))
		}
		var mu sync.Mutex
		var acknowledged []string
		go func() {
			for m := range sub.Messages() {
				mu.Lock()
				acknowledged = append(acknowledged, strings.TrimPrefix(m.Message, r.near.acks.node))
				mu.Unlock()
			}
		}()
		defer sub.Close()
		want := func(when string, want ...string) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(acknowledged)
			if !slices.Equal(acknowledged, want) {
				t.Errorf("%s: got %q, want %q", when, acknowledged, want)
			}
			acknowledged = nil
		}
		barrier := func(payload string) {
			r.hand.Message(tracking.Message{Channel: r.near.tier.Channel(registryName), Payload: payload, Of: 1})
		}
		r.mini.SetError(outOfOrder)
		barrier("writer 1")
		pass(300 * time.Millisecond)
		barrier("writer 2")
		barrier("other 7")
		pass(0)
		want("while the server is out of order")
		pass(600 * time.Millisecond) // nobody waits for the first one any more
		r.mini.SetError("")
		pass(100 * time.Millisecond)
		want("once it answers", " 2", " 7")
		pass(10 * time.Second)
		want("later")

		r.mini.SetError(outOfOrder)
		barrier("writer 33")
		pass(0)
		r.mini.SetError("")
		for id := range 10 { // more often than it is tried again
			barrier(fmt.Sprint("other ", id))
			pass(r.near.acks.lease / retellings / 2)
		}
		mu.Lock()
		if !slices.Contains(acknowledged, " 33") {
			t.Errorf("among others: got %q, want 33 to be one of them", acknowledged)
		}
		acknowledged = nil
		mu.Unlock()

		r.mini.SetError(outOfOrder)
		for id := range 2 * maxPartial {
			barrier(fmt.Sprint("writer ", id))
		}
		pass(0)
		r.mini.SetError("")
		pass(100 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		if n := strings.Count(strings.Join(acknowledged, ""), " "); n != maxPartial {
			t.Errorf("got %d acknowledgements, want those of the last %d", n, maxPartial)
		}
	})
}

// A write that another one overlapped has removed what was stored meanwhile: its
// end is a change as any other.
func TestTheEndOfAnOverlappedWriteIsAcknowledged(t *testing.T) {
	leaseRig(t, func(r *rig) {
		mark, err := r.near.BeginWrite(r.ctx, "k", time.Minute)
		r.must(err)
		r.write("k", "meanwhile", cache.EntryOptions{})
		before := r.near.acks.barriers()
		err = r.near.Set(r.ctx, "k", []byte("v"), cache.EntryOptions{Mark: mark})
		if !errors.Is(err, cache.ErrWriteOverlapped) {
			t.Errorf("got %v, want ErrWriteOverlapped", err)
		}
		r.wantMiss("k")
		if n := r.near.acks.barriers() - before; n != 1 {
			t.Errorf("barriers: got %d, want 1", n)
		}
	})
}

// If nobody can tell whether the others have heard of it, that is the error.
func TestTheEndOfAnOverlappedWriteMayGoUnacknowledged(t *testing.T) {
	leaseRig(t, func(r *rig) {
		mark, err := r.near.BeginWrite(r.ctx, "k", time.Minute)
		r.must(err)
		r.write("k", "meanwhile", cache.EntryOptions{})
		r.near.acks.end()
		err = r.near.Set(r.ctx, "k", []byte("v"), cache.EntryOptions{Mark: mark})
		if !errors.Is(err, ErrUnacknowledged) || errors.Is(err, cache.ErrWriteOverlapped) {
			t.Errorf("got %v, want ErrUnacknowledged alone", err)
		}
	})
}
