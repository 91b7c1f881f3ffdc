package queuetest

import (
	"testing"
	"time"

	"github.com/larder-go/larder/queue"
)

// Config says what to test. Only New is required.
type Config struct {
	// New returns an empty queue that shares nothing with another, with room for
	// at least a thousand items. It is called for every case and frees what it
	// took by tb.Cleanup.
	New func(tb testing.TB) queue.Queue

	// NewLimited is New for a queue with room for so many items and no more.
	// nil: the queue has no limit.
	NewLimited func(tb testing.TB, items int) queue.Queue

	// TooLarge is the length of a payload that no queue takes. Zero: there is
	// none.
	TooLarge int

	// Reopen returns q as a process sees it that was started after the one that
	// made q died without a word. nil: the queue does not outlive its process.
	Reopen func(tb testing.TB, q queue.Queue) queue.Queue

	// Unit is the unit of delays where time cannot be virtual. Zero: each case
	// runs in a testing/synctest bubble, with New called inside. A case that
	// fails in real time is run again with units twice and four times as long, in
	// case the machine was too slow.
	Unit time.Duration

	// Skip names cases not to run, with the reason.
	Skip map[string]string
}
