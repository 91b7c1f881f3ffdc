package observe

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
)

// DefaultInterval is the least time between two records of one kind unless
// LogOptions say otherwise.
const DefaultInterval = 10 * time.Second

// LogOptions configure NewLog. The zero value, and nil, mean the defaults.
type LogOptions struct {
	// Interval is the least time between two records of the same kind, layer,
	// and breaker state. What happens in between is counted, and the next record has
	// the count. Zero: DefaultInterval. Negative: every event is logged.
	Interval time.Duration

	// Name is the cache's, for programs that have several. Empty: left out.
	Name string

	// Level says at which level a kind is logged, and whether it is. Nil:
	// DefaultLevel.
	Level func(cache.Event) (level slog.Level, logged bool)
}

// Log is an observer that writes a record for each event that needs attention,
// but only one per kind and interval, so that a dying server does not flood the
// log. A record names the kind, layer, operation and ErrorType of its event; it
// holds no key, no value and no text of an error.
//
// It is safe for concurrent use. An event that is not logged, such as a hit,
// costs a call of Level; one that is suppressed takes a mutex for a moment. The
// slog.Handler runs on the goroutine of the call that the event is of, and never
// under a lock.
type Log struct {
	logger   *slog.Logger
	interval time.Duration
	level    func(cache.Event) (slog.Level, bool)

	mu    sync.Mutex
	kinds map[logKind]*logged
}

// logKind is what has a limit of its own. An open breaker must not hide that it
// closed.
type logKind struct {
	kind  cache.EventKind
	layer string
	state string // of a breaker
}

type logged struct {
	at         time.Time // of the last record
	level      slog.Level
	suppressed int // events since then
}

// NewLog returns a Log that writes to logger, or to slog.Default if that is nil;
// opts may be nil.
func NewLog(logger *slog.Logger, opts *LogOptions) *Log {
	if logger == nil {
		logger = slog.Default()
	}
	l := &Log{logger: logger, interval: DefaultInterval, level: DefaultLevel, kinds: map[logKind]*logged{}}
	if opts == nil {
		return l
	}
	if opts.Interval != 0 {
		l.interval = opts.Interval
	}
	if opts.Level != nil {
		l.level = opts.Level
	}
	if opts.Name != "" {
		l.logger = l.logger.With("cache", opts.Name)
	}
	return l
}

// DefaultLevel logs panics of callbacks, loaders that panicked, and dead letters of
// a write-behind as errors; failed calls to the server, a breaker that opens,
// undecodable entries, a near cache that hears of nothing, invalidations that will
// not be retried, and a write-behind queue that fails or is full as warnings; other
// changes of the breaker, a near cache's contact, and fills refused for another
// reason than a write or a removal, as information; and nothing else. A refused fill
// whose key was written is how larder stays right, not a thing to look into.
func DefaultLevel(e cache.Event) (level slog.Level, logged bool) {
	switch e.Kind {
	case cache.EventCallbackPanic, cache.EventDeadLetter:
		return slog.LevelError, true
	case cache.EventLoad:
		return slog.LevelError, errors.Is(e.Err, cache.ErrLoaderPanic) || errors.Is(e.Err, cache.ErrLoaderGoexit)
	case cache.EventServerError, cache.EventUndecodable, cache.EventNearLost, cache.EventIntentDropped,
		cache.EventQueueError, cache.EventQueueFull:
		return slog.LevelWarn, true
	case cache.EventBreaker:
		if e.Detail == "open" {
			return slog.LevelWarn, true
		}
		return slog.LevelInfo, true
	case cache.EventNearContact:
		return slog.LevelInfo, true
	case cache.EventFillRefused:
		return slog.LevelInfo, !isRace(e.Err)
	}
	return 0, false
}

// isRace reports whether err refuses a fill because of another call.
func isRace(err error) bool {
	for _, race := range [...]error{cache.ErrLeaseLost, cache.ErrInvalidated, cache.ErrAbandoned,
		cache.ErrBeingWritten, cache.ErrRegionExpired} {
		if errors.Is(err, race) {
			return true
		}
	}
	return false
}

// Observe implements cache.Observer.
func (l *Log) Observe(ctx context.Context, e cache.Event) {
	level, ok := l.level(e)
	if !ok || !l.logger.Enabled(ctx, level) {
		return
	}
	suppressed, ok := l.admit(e, level)
	if !ok {
		return
	}
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs, slog.String("event", e.Kind.String()), slog.String("layer", e.Layer))
	add := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	add("op", e.Op)
	add("detail", e.Detail)
	add("error_type", ErrorType(e.Err))
	add("cause", cause(e.Err))
	if e.Duration > 0 {
		attrs = append(attrs, slog.Duration("duration", e.Duration))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	l.logger.LogAttrs(ctx, level, messageOf(e.Kind), attrs...)
}

// admit reports whether e is to be logged now, and if so how many of its kind
// were not.
func (l *Log) admit(e cache.Event, level slog.Level) (suppressed int, ok bool) {
	kind := logKind{kind: e.Kind, layer: e.Layer}
	if e.Kind == cache.EventBreaker {
		kind.state = e.Detail
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.kinds[kind]
	if last == nil {
		l.kinds[kind] = &logged{at: now, level: level}
		return 0, true
	}
	if now.Sub(last.at) < l.interval {
		last.suppressed++
		last.level = max(last.level, level)
		return 0, false
	}
	suppressed, last.suppressed = last.suppressed, 0
	last.at, last.level = now, level
	return suppressed, true
}

// Flush logs how many events of each kind were suppressed since its last record,
// which else the next event of that kind would say. Call it after the cache's
// Close, or from time to time.
func (l *Log) Flush(ctx context.Context) {
	l.mu.Lock()
	counts := map[logKind]logged{}
	for kind, last := range l.kinds {
		if last.suppressed > 0 {
			counts[kind] = *last
			last.suppressed = 0
		}
	}
	l.mu.Unlock()
	for kind, last := range counts {
		attrs := []slog.Attr{slog.String("event", kind.kind.String()), slog.String("layer", kind.layer)}
		if kind.state != "" {
			attrs = append(attrs, slog.String("detail", kind.state))
		}
		l.logger.LogAttrs(ctx, last.level, messageOf(kind.kind), append(attrs, slog.Int("suppressed", last.suppressed))...)
	}
}

func messageOf(kind cache.EventKind) string {
	switch kind {
	case cache.EventServerError:
		return "larder: a call to the cache's server failed"
	case cache.EventBreaker:
		return "larder: the breaker changed"
	case cache.EventFillRefused:
		return "larder: a load's result was not stored"
	case cache.EventUndecodable:
		return "larder: an entry could not be decoded"
	case cache.EventCallbackPanic:
		return "larder: a callback panicked"
	case cache.EventLoad:
		return "larder: a load ended"
	case cache.EventNearLost:
		return "larder: a near cache hears of no changes"
	case cache.EventNearContact:
		return "larder: a near cache hears of changes"
	case cache.EventIntentDropped:
		return "larder: a failed invalidation is not retried"
	case cache.EventDeadLetter:
		return "larder: a write behind was set aside"
	case cache.EventQueueError:
		return "larder: a write-behind queue or its source failed"
	case cache.EventQueueFull:
		return "larder: a write-behind queue is full"
	}
	return "larder: " + kind.String()
}
