package queue_test

import (
	"testing"

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
