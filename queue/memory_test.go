package queue_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/queue"
	"github.com/larder-go/larder/queue/queuetest"
)

func newMemory(tb testing.TB, opts *queue.MemoryOptions) *queue.Memory {
	tb.Helper()
	q, err := queue.NewMemory(opts)
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

func TestMemoryKeepsTheContract(t *testing.T) {
	queuetest.Run(t, queuetest.Config{
		New: func(tb testing.TB) queue.Queue { return newMemory(tb, nil) },
		NewLimited: func(tb testing.TB, items int) queue.Queue {
			return newMemory(tb, &queue.MemoryOptions{MaxEntries: items})
		},
		TooLarge: queue.DefaultMaxBytes,
	})
}

func TestMemoryRefusesBadOptions(t *testing.T) {
	_, err := queue.NewMemory(&queue.MemoryOptions{MaxEntries: -1, MaxBytes: -1})
	if !errors.Is(err, cache.ErrInvalidConfig) || !strings.Contains(err.Error(), "MaxEntries") || !strings.Contains(err.Error(), "MaxBytes") {
		t.Errorf("NewMemory: got %v, want ErrInvalidConfig that names both", err)
	}
}

func TestMemoryIsBoundedInBytes(t *testing.T) {
	const limit = 4096
	q := newMemory(t, &queue.MemoryOptions{MaxBytes: limit})
	put := func(key string, n int) error {
		_, err := q.Enqueue(t.Context(), queue.Write{Key: key, Payload: make([]byte, n)})
		return err
	}
	for _, c := range []struct {
		why  string
		key  string
		n    int
		want error
	}{
		{"it can never fit", "a", limit, queue.ErrTooLarge},
		{"it fits", "a", 3000, nil},
		{"the two do not fit", "b", 3000, queue.ErrFull},
		{"it takes the place of a larger one", "a", 1000, nil},
		{"there is room now", "b", 1000, nil},
		{"it needs more room than the one it replaces", "b", 3000, queue.ErrFull},
		{"it needs as much", "b", 1000, nil},
	} {
		if err := put(c.key, c.n); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.why, err, c.want)
		}
	}
	st, err := q.Stats(t.Context())
	if err != nil || st.Bytes > limit || st.Bytes < 2000 || st.Rejected != 2 {
		t.Errorf("Stats: got %+v, %v; want 2000 to %d bytes and 2 rejected", st, err, limit)
	}
}

func TestMemoryForgetsWhatIsDone(t *testing.T) {
	q := newMemory(t, nil)
	for i := range 1000 {
		if _, err := q.Enqueue(t.Context(), queue.Write{Key: fmt.Sprint("key", i%7)}); err != nil {
			t.Fatal(err)
		}
		claims, err := q.Claim(t.Context(), queue.ClaimOptions{Max: 1, Visibility: time.Hour})
		if err != nil || len(claims) != 1 {
			t.Fatalf("Claim: got %d, %v; want 1", len(claims), err)
		}
		if _, err := q.Settle(t.Context(), []queue.Outcome{{Claim: claims[0], Result: queue.Done}}); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := q.Stats(t.Context()); err != nil || st.Bytes != 0 || st.Queued != 0 || st.Done != 1000 {
		t.Errorf("Stats: got %+v, %v; want nothing left of 1000", st, err)
	}
}

// Sequences go on rising when the queue's memory is lost with its process.
func TestMemorySequencesSurviveTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last uint64
		for range 3 {
			q := newMemory(t, nil)
			for range 100 {
				sequence, err := q.Enqueue(t.Context(), queue.Write{Key: "a"})
				if err != nil || sequence <= last {
					t.Fatalf("got sequence %d, %v after %d; want a higher one", sequence, err, last)
				}
				last = sequence
			}
			time.Sleep(time.Millisecond) // a restart takes longer than a hundred microseconds
		}
	})
}

func BenchmarkMemoryEnqueue(b *testing.B) {
	q := newMemory(b, nil)
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprint("key", i)
	}
	payload := make([]byte, 100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := q.Enqueue(b.Context(), queue.Write{Key: keys[i%len(keys)], Payload: payload}); err != nil {
			b.Fatal(err)
		}
	}
}

// Errors of a source may quote whole documents.
func TestDeadLettersDoNotKeepLongErrors(t *testing.T) {
	m := newMemory(t, nil)
	const many, size = 100, 1 << 20
	for i := range many {
		key := fmt.Sprint("key", i)
		if _, err := m.Enqueue(t.Context(), queue.Write{Key: key}); err != nil {
			t.Fatal(err)
		}
		claims, err := m.Claim(t.Context(), queue.ClaimOptions{Max: 1, Visibility: time.Hour})
		if err != nil || len(claims) != 1 {
			t.Fatalf("Claim: got %d, %v; want 1", len(claims), err)
		}
		dead := queue.Outcome{Claim: claims[0], Result: queue.Dead, Reason: strings.Repeat("x", size)}
		if _, err := m.Settle(t.Context(), []queue.Outcome{dead}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	if mem.HeapAlloc > many*size/2 {
		t.Errorf("the heap has %d bytes, want far less than the %d of the errors", mem.HeapAlloc, many*size)
	}
	runtime.KeepAlive(m)
}
