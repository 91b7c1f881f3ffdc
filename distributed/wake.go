package distributed

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/envelope"
)

// Await asks for a hint that the load which holds lease has ended: it marks the
// lease as followed, in one script, and whoever spends it publishes the digest of
// the key in the step that does so. All followers of this process share one
// connection, which the first of them has opened and none waits for. A Ring has
// no hints: its servers do not pass messages on. See cache.Waker.
func (c *Cache) Await(ctx context.Context, key string, lease cache.Lease) (wake <-chan struct{}, stop func()) {
	const op = "await"
	if c.beginKey(ctx, op, key) != nil || lease == (cache.Lease{}) {
		return nil, func() {}
	}
	name := c.name(key)
	digest := envelope.Digest(name)
	hint := c.waker.wait(digest)
	if hint == nil {
		return nil, func() {}
	}
	stop = func() { c.waker.leave(digest, hint) }
	// Only now: a hint about a mark that was set before would be missed.
	cmd, err := c.eval(ctx, op, key, followScript, leaseEntry(name, lease))
	if err != nil {
		stop()
		return nil, stop
	}
	if n, err := cmd.Int(); err != nil || n == 0 {
		c.waker.wake(digest) // what was waited for has happened
	}
	return hint, stop
}

const (
	// wakerKeepAlive is how long a subscription may be silent before the
	// server is asked whether it is still there.
	wakerKeepAlive = 5 * time.Second

	// wakerIdle is how long a subscription is kept that nobody waits on.
	wakerIdle = 30 * time.Second

	// wakerFirstPause and wakerLastPause are the least and the longest time
	// between two tries to subscribe, after the first has failed.
	wakerFirstPause = 100 * time.Millisecond
	wakerLastPause  = 5 * time.Second
)

// waker hears when the loads of other processes end. It has a goroutine and a
// connection while somebody waits for such a load, and for a while after.
//
// Nothing depends on it but how soon a follower asks again. So it never retries
// by itself: if the connection is lost it tells those who wait that they will
// hear nothing more, and the next who asks opens another.
type waker struct {
	// Immutable.
	transport *transport.Transport
	channel   string

	mu      sync.Mutex
	waiting map[uint64][]chan struct{} // by the digest of what they wait for
	live    bool                       // the server has confirmed the subscription
	since   time.Time                  // when the last who waited left
	end     context.CancelFunc         // of the goroutine; nil if there is none
	pause   time.Duration              // after the last failure; 0: there was none
	notYet  time.Time                  // before which there is no further try
	closed  bool

	running sync.WaitGroup
}

func newWaker(t *transport.Transport, channel string) *waker {
	return &waker{transport: t, channel: channel, waiting: make(map[uint64][]chan struct{})}
}

// wait returns a channel that is closed at the next hint about digest, or nil if
// there is no subscription yet; then it sees to it that there will be one.
func (w *waker) wait(digest uint64) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.live {
		w.startLocked(time.Now())
		return nil
	}
	hint := make(chan struct{})
	w.waiting[digest] = append(w.waiting[digest], hint)
	return hint
}

func (w *waker) startLocked(now time.Time) {
	if w.closed || w.end != nil || now.Before(w.notYet) || !w.transport.CanSubscribe() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.end = cancel
	w.running.Go(func() { w.run(ctx) })
}

// leave takes hint out, if it is still there.
func (w *waker) leave(digest uint64, hint chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := slices.DeleteFunc(w.waiting[digest], func(h chan struct{}) bool { return h == hint })
	w.keepLocked(digest, rest)
}

// wake gives the hint to all who wait for digest.
func (w *waker) wake(digest uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, hint := range w.waiting[digest] {
		close(hint)
	}
	w.keepLocked(digest, nil)
}

// keepLocked makes hints those that wait for digest.
func (w *waker) keepLocked(digest uint64, hints []chan struct{}) {
	if len(hints) > 0 {
		w.waiting[digest] = hints
		return
	}
	delete(w.waiting, digest)
	if len(w.waiting) == 0 {
		w.since = time.Now()
	}
}

// run holds one subscription for as long as it is good for something.
func (w *waker) run(ctx context.Context) {
	err := errPanicked
	defer func() {
		_ = recover() // go-redis trusts what a server sends; a garbled reply must not end the process
		w.over(err)
	}()
	err = w.listen(ctx)
}

var (
	errPanicked = errors.New("larder: the client panicked")
	errIdle     = errors.New("larder: nobody waits")
)

// over notes that the subscription has ended, and tells all who wait on it.
func (w *waker) over(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end()
	w.end = nil
	switch {
	case err == errIdle: //nolint:errorlint // ours
	case w.live:
		w.pause = wakerFirstPause
	default:
		w.pause = min(max(2*w.pause, wakerFirstPause), wakerLastPause)
	}
	w.live = false
	w.notYet = time.Now().Add(w.pause/2 + rand.N(w.pause+1))
	for digest, hints := range w.waiting {
		for _, hint := range hints {
			close(hint)
		}
		delete(w.waiting, digest)
	}
}

// listen hands on what it hears, until the subscription fails, nobody has waited
// for a while, or ctx ends.
func (w *waker) listen(ctx context.Context) error {
	ps, err := w.transport.Subscribe(ctx, w.channel)
	if err != nil {
		return err
	}
	// A receiver heeds no context; closing the connection is what ends it.
	cut := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		defer close(cut)
		_ = ps.Close()
	})
	defer func() {
		if forget() {
			_ = ps.Close()
		} else {
			<-cut
		}
	}()
	for asked := false; ; {
		message, err := ps.ReceiveTimeout(ctx, wakerKeepAlive)
		if w.isIdle() {
			return errIdle
		}
		if isTimeout(err) && !asked {
			asked = true
			err = ps.Ping(ctx)
		} else if err == nil {
			asked = false
			w.heard(message)
		}
		if err != nil {
			return err
		}
	}
}

func isTimeout(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}

func (w *waker) heard(message any) {
	switch m := message.(type) {
	case *redis.Subscription:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.live, w.since, w.pause = true, time.Now(), 0
	case *redis.Message:
		if len(m.Payload) == 8 {
			w.wake(binary.BigEndian.Uint64([]byte(m.Payload)))
		}
	}
}

func (w *waker) isIdle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.live && len(w.waiting) == 0 && time.Since(w.since) >= wakerIdle
}

// close ends the subscription, and waits for that until ctx ends.
func (w *waker) close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	if w.end != nil {
		w.end()
	}
	w.mu.Unlock()
	done := make(chan struct{})
	go func() {
		w.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
