package cache

import (
	"context"
	"time"
)

// Observer is told what a cache does, as it happens: for metrics, traces and
// logs. Observe is called from many goroutines at once, on the path of the call
// it reports, never under a lock; it should be quick and must not panic. A nil
// Observer costs nothing.
type Observer interface {
	Observe(ctx context.Context, e Event)
}

// ObserverFunc is a function as an Observer.
type ObserverFunc func(ctx context.Context, e Event)

// Observe calls f.
func (f ObserverFunc) Observe(ctx context.Context, e Event) { f(ctx, e) }

// Event is one thing that happened. It holds no key and no value.
type Event struct {
	Kind     EventKind
	Layer    string        // who reports: "memory", "redis", "load"
	Op       string        // the operation, as in "get", where it matters
	Count    int           // how many keys it concerns; 0 means 1
	Duration time.Duration // of a load or a call to the server
	Err      error         // what went wrong, if anything did
	Detail   string        // as the kind says: an eviction's cause, a breaker's state
}

// EventKind says what happened.
type EventKind uint8

const (
	EventHit           EventKind = iota + 1 // a live entry was returned
	EventMiss                               // there was none
	EventLoad                               // a load ended; Duration, Err
	EventFillRefused                        // a load's result was not stored; Err says why
	EventUndecodable                        // an entry was corrupt, foreign or of another schema, and so a miss
	EventEviction                           // an entry left to make room; Detail: the cause
	EventExpiration                         // an entry left because of its age
	EventInvalidation                       // a load in flight was voided by a write
	EventServerError                        // a call to the server failed; Op, Duration, Err
	EventBreaker                            // the breaker changed; Detail: "open", "half-open", "closed"
	EventTouchDropped                       // a sliding window could not be restarted in the background
	EventCallbackPanic                      // user code (a callback, a weigher) panicked
	EventJoinRefused                        // a load in flight was not joined: another process had written its key
	EventLeaseLost                          // a load's lease was gone: its key was written, evicted, or the lease ran out
	EventStale                              // a value past its SoftTTL or its TTL was returned
	EventRefresh                            // a load for an entry that was there ended; Duration, Err
	EventErrorCached                        // the error of an earlier load was returned; Err
	EventNearLost                           // a near cache hears no longer of changes, and serves nothing by itself; Err
	EventNearContact                        // a near cache hears of changes again; Duration: since when it had not
	EventServerCall                         // a call to the server was answered; Op, Duration
	EventIntentLanded                       // invalidations that had failed for want of the server have happened now; Count, Duration: how late
	EventIntentDropped                      // such invalidations will not be retried: too many wait, or the cache was closed; Count
	EventDeadLetter                         // a write behind was set aside, because the source does not take it
	EventQueueError                         // a write-behind queue, or the source behind it, failed; Err
	EventQueueFull                          // a write behind found no room in the queue, and waited, went past it or was refused
)

var eventNames = [...]string{
	EventHit: "hit", EventMiss: "miss", EventLoad: "load", EventFillRefused: "fill_refused",
	EventUndecodable: "undecodable", EventEviction: "eviction", EventExpiration: "expiration",
	EventInvalidation: "invalidation", EventServerError: "server_error", EventBreaker: "breaker",
	EventTouchDropped: "touch_dropped", EventCallbackPanic: "callback_panic",
	EventJoinRefused: "join_refused", EventLeaseLost: "lease_lost",
	EventStale: "stale_hit", EventRefresh: "refresh", EventErrorCached: "error_cached",
	EventNearLost: "near_lost", EventNearContact: "near_contact",
	EventServerCall:   "server_call",
	EventIntentLanded: "intent_landed", EventIntentDropped: "intent_dropped",
	EventDeadLetter: "dead_letter", EventQueueError: "queue_error", EventQueueFull: "queue_full",
}

// String returns the kind as a metric would name it.
func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return "unknown"
}

// Stats is what a cache did since it was made. Numbers that a cache does not
// keep are 0.
type Stats struct {
	Hits    uint64 // reads that found a live entry
	Misses  uint64 // reads that did not
	Sets    uint64 // entries stored, fills included
	Removes uint64 // keys removed by call

	Loads        uint64 // loads run
	LoadErrors   uint64 // of these, ended with an error
	LoadsShared  uint64 // callers that waited for another's load
	FillsRefused uint64 // load results not stored, because the key was written meanwhile, or its source is being written

	LeasesLost   uint64 // loads that found their lease gone, because another had written the key or it ran out
	JoinsRefused uint64 // loads in flight not joined, because another process had written their key

	StaleHits    uint64 // values returned past their SoftTTL or TTL; the tier counts any it finds as a hit
	Refreshes    uint64 // loads for entries that were there
	ErrorsCached uint64 // errors of earlier loads that were returned

	Evictions   uint64 // entries that left to make room
	Expirations uint64 // entries that left because of their age
	Undecodable uint64 // entries that were corrupt, foreign or of another schema

	ServerErrors uint64 // calls to the server that failed
	Rejected     uint64 // calls not sent because the breaker was open

	Entries int64 // entries held now
	Bytes   int64 // their weight
}

// HitRatio returns hits per read, or 0 if there were no reads.
func (s Stats) HitRatio() float64 {
	if s.Hits+s.Misses == 0 {
		return 0
	}
	return float64(s.Hits) / float64(s.Hits+s.Misses)
}
