package tracking

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// DefaultInterval is the time between two heartbeats if Options says nothing.
	DefaultInterval = 125 * time.Millisecond

	// connectTimeout bounds one try to reach all primaries: short, so that a try
	// begun in an outage does not outlast it by much.
	connectTimeout = time.Second

	// firstPause and lastPause are the least and the longest time between two
	// tries, before jitter. After a server has refused the pauses go from
	// refusedPause to lastRefused: what refuses once mostly does for good.
	firstPause   = 20 * time.Millisecond
	lastPause    = 500 * time.Millisecond
	refusedPause = 30 * time.Second
	lastRefused  = 24 * time.Hour
)

var (
	// ErrUnsupported is given to Events.Lost when a server refuses tracking, or
	// the client is of a type without one known set of primaries.
	ErrUnsupported = errors.New("larder: the server offers no tracking")

	// ErrTopology is given to Events.Lost when the roles or the number of a
	// cluster's nodes have changed, or a primary has become a replica.
	ErrTopology = errors.New("larder: the servers' roles have changed")

	// ErrSilent is given to Events.Lost when a server has not answered in time.
	ErrSilent = errors.New("larder: no answer from the server in time")

	errPanicked = errors.New("larder: an event panicked")
)

// Events are what a Listener reports. They are called from its goroutines, one at
// a time; those of one server in the order in which it sent them. They must not
// block: what is not taken off a connection in time ends it. They must not call
// Close. Nil ones are left out.
type Events struct {
	// Changed says that the value or the lifetime of a key has changed. It is the
	// full Redis key, prefix included, of any database of the server. Keys over
	// 64 KiB are not reported. Keys that changed close to each other come in any
	// order.
	Changed func(key string)

	// Flushed says that any key may have changed: forget all.
	Flushed func()

	// Contact says that every change which any primary had processed before asOf
	// has been handed on. asOf is of this process's monotonic clock and never goes
	// back.
	Contact func(asOf time.Time)

	// Lost says that changes may be missed from now on, and why. Before the next
	// Contact comes a Flushed. It may be called again without anything between.
	Lost func(err error)

	// Message hands on what was published on one of Options.Channels. Messages can
	// be lost, also without Lost.
	Message func(m Message)
}

// Message is what was published on a channel, wherever in a Cluster that was. It
// comes once from each of the Of primaries, after all changes that this primary had
// processed when it was published. So when it has come From 0 to Of-1, every change
// from before it was published has been handed on.
type Message struct {
	Channel, Payload string
	From, Of         int
}

// Options configures New.
type Options struct {
	// Prefix is what the reported keys begin with. Empty: all keys are reported.
	Prefix string

	// Interval is the time between two heartbeats. An asOf lies between one and
	// two intervals and a round trip in the past. Zero: DefaultInterval.
	Interval time.Duration

	// Timeout is how long an answer to a heartbeat may take. Zero: two intervals.
	Timeout time.Duration

	// Channels are what the connections subscribe to. None: the prefix followed by
	// "near:idle", where nobody publishes, since only of a subscribed connection does
	// Redis bound the output buffer.
	Channels []string

	// Events are what to call.
	Events Events
}

// Listener keeps the connections up and the events coming, until Close.
type Listener struct {
	// Immutable.
	client  redis.UniversalClient
	options Options
	end     context.CancelFunc
	running sync.WaitGroup

	supported atomic.Int32 // unknown, yes or no

	// turn is held by whoever calls an event, which is what it is for.
	turn sync.Mutex
}

const (
	unknown int32 = iota
	yes
	no
)

// New returns a Listener to the servers of client, which it neither changes nor
// closes. It returns at once; the connections are made by goroutines, which Close
// ends. A *redis.Client is served, one with Sentinel included, and a
// *redis.ClusterClient. A Ring moves keys between servers without telling, and
// what other types do is not known: then it is ErrUnsupported.
func New(client redis.UniversalClient, options Options) *Listener {
	if options.Interval <= 0 {
		options.Interval = DefaultInterval
	}
	if options.Timeout <= 0 {
		options.Timeout = 2 * options.Interval
	}
	if len(options.Channels) == 0 {
		options.Channels = []string{options.Prefix + "near:idle"}
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Listener{client: client, options: options, end: cancel}
	l.running.Go(func() { l.run(ctx) })
	return l
}

// Supported reports whether the servers offer tracking; known is false until one
// has answered for the first time. After a refusal they are asked anew, after half
// a minute at first and once a day at last.
func (l *Listener) Supported() (supported, known bool) {
	s := l.supported.Load()
	return s == yes, s != unknown
}

// Close ends the connections and goroutines, and waits for that until ctx ends.
// There are no events after it has returned nil. It may be called again.
func (l *Listener) Close(ctx context.Context) error {
	l.end()
	done := make(chan struct{})
	go func() {
		l.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run holds one session after the other.
func (l *Listener) run(ctx context.Context) {
	refusals := 0
	for failures := 0; ; failures++ {
		s := &session{listener: l}
		err := s.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if s.contact {
			failures, refusals = 0, 0
		}
		wait := pause(failures)
		if errors.Is(err, ErrUnsupported) {
			l.supported.Store(no)
			wait = refusal(refusals)
			refusals++
		}
		l.lost(err)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// pause returns how long to wait after so many failures in a row before the last
// one, refusal after so many refusals.
func pause(failures int) time.Duration {
	return jittered(min(firstPause<<min(failures, 10), lastPause))
}

func refusal(refusals int) time.Duration {
	return jittered(min(refusedPause<<min(refusals, 20), lastRefused))
}

func jittered(p time.Duration) time.Duration { return p/2 + rand.N(p/2+1) }

// event calls one event, if there is one. A panic of it ends the session, not the
// process: what it should have forgotten is forgotten by the Flushed to come.
func (l *Listener) event(call func()) (err error) {
	defer func() {
		if recover() != nil {
			err = errPanicked
		}
	}()
	l.turn.Lock()
	defer l.turn.Unlock()
	call()
	return nil
}

func (l *Listener) lost(err error) {
	if l.options.Events.Lost != nil {
		_ = l.event(func() { l.options.Events.Lost(err) }) // it is lost already
	}
}

func (l *Listener) flushed() error {
	if l.options.Events.Flushed == nil {
		return nil
	}
	return l.event(l.options.Events.Flushed)
}
