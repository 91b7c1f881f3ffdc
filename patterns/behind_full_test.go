package patterns_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue"
)

var twoItems = &queue.MemoryOptions{MaxEntries: 2}

// fullBench has a queue with room for two, full, and a source that is stopped.
func fullBench(t *testing.T, policy patterns.FullPolicy) *behindBench {
	t.Helper()
	b := newBehindBench(t, behindOptions{WhenFull: policy}, twoItems, nil)
	b.source.block = make(chan struct{})
	b.save(1, "one")
	b.save(2, "two")
	return b
}

func TestBehindFullRejects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fullBench(t, patterns.FullReject)
		if err := b.Save(b.ctx, 3, "three"); !errors.Is(err, queue.ErrFull) {
			t.Errorf("Save: got %v, want ErrFull", err)
		}
		if n := b.full.Load(); n != 1 {
			t.Errorf("observed %d times that the queue is full, want once", n)
		}
		b.finds(3, "")
		b.save(2, "two again") // takes no room
		close(b.source.block)
		b.flush()
		b.source.has(t, map[int]string{1: "one", 2: "two again"})
	})
}

func TestBehindFullBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fullBench(t, patterns.FullBlock)
		ctx, cancel := context.WithTimeout(b.ctx, time.Second)
		defer cancel()
		if err := b.Save(ctx, 3, "three"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, queue.ErrFull) {
			t.Errorf("Save: got %v, want the deadline and ErrFull", err)
		}
		b.finds(3, "")
		saved := make(chan error)
		go func() { saved <- b.Save(b.ctx, 4, "four") }()
		synctest.Wait()
		if st := b.stats(); st.Blocked != 1 {
			t.Errorf("Stats: got %d blocked, want 1", st.Blocked)
		}
		b.finds(1, "one") // readers do not wait
		close(b.source.block)
		if err := <-saved; err != nil {
			t.Errorf("Save: got %v, want no error", err)
		}
		b.flush()
		b.source.has(t, map[int]string{1: "one", 2: "two", 4: "four"})
	})
}

func TestBehindFullWritesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{WhenFull: patterns.FullWriteThrough, Interval: time.Hour}, twoItems, nil)
		b.save(1, "one")
		b.save(2, "two")
		b.finds(3, "")
		b.save(3, "three")
		b.source.has(t, map[int]string{3: "three"})
		b.finds(3, "three")
		b.source.fail = func(int, string) error { return errors.New("refused") }
		if err := b.Save(b.ctx, 3, "x"); err == nil || err.Error() != "refused" {
			t.Errorf("Save: got %v, want the source's error", err)
		}
		b.finds(3, "three")
		if st := b.stats(); st.Through != 2 {
			t.Errorf("Stats: got %d through, want 2", st.Through)
		}
	})
}

// A write that went past the queue while an older one of its key is being
// written would be overwritten by that.
func TestBehindFullDoesNotOvertakeItsOwnKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fullBench(t, patterns.FullWriteThrough)
		time.Sleep(2 * patterns.DefaultFlushInterval) // both are being written
		saved := make(chan error)
		go func() { saved <- b.Save(b.ctx, 1, "newer") }()
		synctest.Wait()
		b.source.has(t, map[int]string{})
		close(b.source.block)
		if err := <-saved; err != nil {
			t.Fatal(err)
		}
		b.finds(1, "newer")
		b.flush()
		b.source.has(t, map[int]string{1: "newer", 2: "two"})
	})
}

func TestBehindCloseDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{Interval: time.Hour}, nil, nil)
		for i := range 1000 {
			b.save(i, "x")
		}
		for range 2 {
			if err := b.Close(b.ctx); err != nil {
				t.Errorf("Close: got %v, want no error", err)
			}
		}
		if len(b.source.rows) != 1000 {
			t.Errorf("the source has %d rows, want 1000", len(b.source.rows))
		}
		if err := b.Save(b.ctx, 1, "late"); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("Save after Close: got %v, want ErrClosed", err)
		}
		b.finds(1, "x")
	})
}

func TestBehindCloseReportsWhatRemains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fullBench(t, patterns.FullBlock)
		blocked := make(chan error)
		go func() { blocked <- b.Save(b.ctx, 3, "three") }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(b.ctx, time.Second)
		defer cancel()
		err := b.Close(ctx)
		var remaining *patterns.RemainingError
		if !errors.As(err, &remaining) || remaining.Queued != 2 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: got %v, want 2 queued and the deadline", err)
		}
		if err := <-blocked; !errors.Is(err, cache.ErrClosed) {
			t.Errorf("Save that waited: got %v, want ErrClosed", err)
		}
		// What was being written was given back: who opens the queue next has it at once.
		claims, err := b.queue.Claim(b.ctx, queue.ClaimOptions{Max: 10, Visibility: time.Second})
		if err != nil || len(claims) != 2 {
			t.Errorf("Claim: got %d, %v; want 2", len(claims), err)
		}
	})
}

func TestBehindCloseReportsDeadLettersOfAMemoryQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{MaxAttempts: 1}, nil, nil)
		b.source.fail = func(int, string) error { return errors.New("no") }
		b.save(1, "one")
		var remaining *patterns.RemainingError
		if err := b.Close(b.ctx); !errors.As(err, &remaining) || remaining.Dead != 1 || remaining.Queued != 0 {
			t.Errorf("Close: got %v, want 1 dead letter", err)
		}
	})
}

func TestBehindFlushWaitsForWhatWasBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{Interval: time.Hour}, nil, nil)
		attempts := 0
		b.source.fail = func(id int, _ string) error {
			if attempts++; attempts < 4 {
				return errors.New("not yet")
			}
			return nil
		}
		b.save(1, "one")
		b.flush()
		b.source.has(t, map[int]string{1: "one"})
		b.source.set(func() { b.source.block = make(chan struct{}) })
		b.save(2, "two")
		ctx, cancel := context.WithTimeout(b.ctx, time.Second)
		defer cancel()
		if err := b.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush: got %v, want the deadline", err)
		}
		close(b.source.block)
	})
}

func TestBehindMemoryIsBoundedWhileTheSourceIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 1 << 20
		b := newBehindBench(t, behindOptions{WhenFull: patterns.FullReject}, &queue.MemoryOptions{MaxBytes: limit}, nil)
		b.source.block = make(chan struct{})
		value, rejected := string(make([]byte, 1000)), 0
		for i := range 5000 {
			if err := b.Save(b.ctx, i, value); errors.Is(err, queue.ErrFull) {
				rejected++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if st := b.stats(); st.Queue.Bytes > limit || st.Queue.Bytes < limit*9/10 || rejected+st.Queue.Queued != 5000 {
			t.Errorf("got %d bytes, %d queued, %d rejected; want just under %d bytes and the rest rejected",
				st.Queue.Bytes, st.Queue.Queued, rejected, limit)
		}
		close(b.source.block)
	})
}
