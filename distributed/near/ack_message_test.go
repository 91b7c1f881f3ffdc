package near

import (
	"errors"
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
