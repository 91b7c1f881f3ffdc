package near

import (
	"context"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/distributed/internal/tracking"
	"github.com/larder-go/larder/distributed/internal/transport"
)

// ErrUnacknowledged means, in mode Ack, that a change was made on the shared tier
// but the call ended before all near caches had acknowledged it. They serve what
// was before for Options.Bound at most. The change itself has happened: the error
// is never one of cache.ErrUnavailable or cache.ErrOutcomeUnknown.
var ErrUnacknowledged = errors.New("larder: changed, but not acknowledged by every near cache")

var (
	//go:embed scripts/renew.lua
	renewLua string
	//go:embed scripts/leave.lua
	leaveLua string
	//go:embed scripts/barrier.lua
	barrierLua string
)

const (
	registryName = ":near:nodes" // the registry's key, and the channel of barriers
	ackName      = ":near:ack:"  // begins the channel of a node's acknowledgements

	// registryLife is how long a registry is kept that nobody uses.
	registryLife = time.Hour

	// leaseMargin is the part of its lease that a node does not use, for clocks that
	// do not run at one speed.
	leaseMargin = 16

	// renewals is how often a lease is renewed before it would end.
	renewals = 4

	// maxPartial is how many barriers may have come from some primaries only, and how
	// many may wait to be acknowledged once more.
	maxPartial = 4096

	// retellings is how often in a lease an acknowledgement is repeated that failed.
	retellings = 16
)

// acks is mode Ack: a read that starts after a change has returned never gets what
// was before, in any process.
//
// Every node, which is a near cache in this mode, serves under a lease that is
// written in a registry on the server. Who has changed something reads the registry
// and publishes a barrier. The news of the change and the barrier come to a node on
// one connection, in this order; when it has dropped what it held it acknowledges.
// The writer waits for that, or until the lease has ended that was written in the
// registry. It need not wait for a node that was not: what such a node serves it
// fetches after it was registered, so after the change.
//
// A lease that was renewed after the writer had looked must not be used before the
// node has heard of the change. So a node uses a renewal only when contact shows that
// it has heard of everything from before the renewal's answer. And it renews only
// while there is contact: a node that hears nothing ends by itself.
//
// A registry can be lost (FLUSHALL, eviction). It knows since when it has been
// complete, and whoever changes something before that is a lease ago waits until it
// is. The risk accepted is that of any lease of the server's clock: if that is set
// forward, leases end too soon by so much; and of a failover, which may forget a
// registration together with writes.
type acks struct {
	// Immutable.
	cache *Cache
	node  string
	lease time.Duration
	renew *transport.Script
	leave *transport.Script
	ask   *transport.Script
	ended context.Context // when the cache is closed
	end   context.CancelFunc

	lapsed atomic.Uint64 // waits that a lease ended, not an acknowledgement

	until atomic.Int64 // as contact.until

	mu      sync.Mutex
	closed  bool
	contact bool
	epoch   uint64                  // of contact; part of the member
	leaving []string                // members whose lease is not used any more
	renewed time.Time               // when the renewal was sent that succeeded last, in this epoch
	waiting *renewal                // for contact
	partial map[string]map[int]bool // which primaries a barrier has come from, by its payload
	queue   []barrier
	next    *round // that is not sent yet
	rounds  map[uint64]*round
	last    uint64 // round's id

	news    chan struct{} // for keep: something changed above
	queued  chan struct{} // for acknowledge: there is something in queue
	sending chan struct{} // has a token while a barrier is on its way
	running sync.WaitGroup
}

// renewal is a lease that may be used when there is contact as of at.
type renewal struct {
	at    time.Time
	until int64
}

// barrier is one that was heard.
type barrier struct {
	writer, id string
	at         time.Time
}

func newAcks(c *Cache) *acks {
	ctx, cancel := context.WithCancel(context.Background())
	a := &acks{
		cache: c, node: newNode(), lease: c.bound, ended: ctx, end: cancel,
		renew: transport.NewScript(renewLua), leave: transport.NewScript(leaveLua), ask: transport.NewScript(barrierLua),
		partial: make(map[string]map[int]bool), rounds: make(map[uint64]*round),
		news: make(chan struct{}, 1), queued: make(chan struct{}, 1), sending: make(chan struct{}, 1),
	}
	a.running.Go(a.keep)
	a.running.Go(a.acknowledge)
	return a
}

// startAcks makes c one of mode Ack, and returns the signals for that.
func (c *Cache) startAcks(s signals) signals {
	a := newAcks(c)
	c.acks = a
	made, lost := s.Contact, s.Lost
	s.Contact = func(asOf time.Time) { made(asOf); a.made(asOf) }
	s.Lost = func(err error) { a.lost(); lost(err) }
	s.Message, s.Channels = a.message, a.channels()
	return s
}

// channels are what the listener has to subscribe to.
func (a *acks) channels() []string {
	return []string{a.cache.tier.Channel(registryName), a.cache.tier.Channel(ackName + a.node)}
}

func (a *acks) memberLocked() string { return a.node + ":" + strconv.FormatUint(a.epoch, 10) }

// made hears of contact, after the cache has.
func (a *acks) made(asOf time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.contact = true
	if w := a.waiting; w != nil && !asOf.Before(w.at) {
		a.until.Store(w.until)
		a.waiting = nil
	}
	if a.dueLocked(time.Now()) {
		wake(a.news)
	}
}

func (a *acks) dueLocked(now time.Time) bool {
	return a.contact && a.waiting == nil && now.Sub(a.renewed) >= a.lease/renewals
}

// lost hears that contact was lost: nothing is served until it is restored, and
// nobody needs to wait for this node.
func (a *acks) lost() {
	a.until.Store(0)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.contact {
		// A renewal that is under way, or a leave that comes late, is of another
		// member than the next lease.
		a.leaving = append(a.leaving, a.memberLocked())
		a.epoch++
	}
	a.contact, a.waiting, a.renewed = false, nil, time.Time{}
	clear(a.partial)
	wake(a.news)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// message hears a barrier or an acknowledgement.
func (a *acks) message(m tracking.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.Channel == a.cache.tier.Channel(ackName+a.node) {
		node, ids, _ := strings.Cut(m.Payload, " ")
		for id := range strings.SplitSeq(ids, " ") {
			n, err := strconv.ParseUint(id, 10, 64)
			if r := a.rounds[n]; err == nil && r != nil {
				r.acked[node] = true
				wake(r.news)
			}
		}
		return
	}
	writer, id, ok := strings.Cut(m.Payload, " ")
	if !ok || writer == a.node {
		return
	}
	if m.Of > 1 {
		if len(a.partial) >= maxPartial {
			clear(a.partial) // the writers wait for the leases
		}
		if a.partial[m.Payload] == nil {
			a.partial[m.Payload] = make(map[int]bool, m.Of)
		}
		a.partial[m.Payload][m.From] = true // a barrier that was repeated comes twice
		if len(a.partial[m.Payload]) < m.Of {
			return
		}
		delete(a.partial, m.Payload)
	}
	a.queue = append(a.queue, barrier{writer, id, time.Now()})
	wake(a.queued)
}

// acknowledge tells the writers what was heard, and again if that fails: else they
// wait for the end of a lease that this node goes on renewing.
func (a *acks) acknowledge() {
	retry, due := time.NewTimer(0), true
	defer retry.Stop()
	var untold []barrier // the oldest first
	for {
		select {
		case <-a.queued:
			a.mu.Lock()
			queue := a.queue
			a.queue = nil
			a.mu.Unlock()
			untold = append(untold, a.tell(queue)...)
			untold = untold[max(0, len(untold)-maxPartial):]
		case <-retry.C:
			untold, due = a.tell(untold), false
		case <-a.ended.Done():
			return
		}
		if len(untold) > 0 && !due {
			retry.Reset(a.lease / retellings)
			due = true
		}
	}
}

// tell acknowledges what somebody may wait for still, and returns what it could not.
func (a *acks) tell(queue []barrier) (untold []barrier) {
	payloads := make(map[string]string)
	for _, b := range queue {
		if time.Since(b.at) >= a.lease {
			continue
		}
		if payloads[b.writer] == "" {
			payloads[b.writer] = a.node
		}
		payloads[b.writer] += " " + b.id
	}
	failed := make(map[string]bool)
	for writer, payload := range payloads {
		failed[writer] = a.cache.tier.Publish(a.ended, ackName+writer, payload) != nil
	}
	return slices.DeleteFunc(queue, func(b barrier) bool { return !failed[b.writer] })
}

// keep keeps the lease as contact demands.
func (a *acks) keep() {
	ctx := a.ended
	for {
		select {
		case <-a.news:
		case <-ctx.Done():
			a.mu.Lock()
			member := a.memberLocked()
			a.mu.Unlock()
			_, _ = a.cache.tier.Eval(context.WithoutCancel(ctx), a.leave, registryName, member) // within the budget; else it lapses
			return
		}
		a.mu.Lock()
		leaving := a.leaving
		a.leaving = nil
		due, member, epoch := a.dueLocked(time.Now()), a.memberLocked(), a.epoch
		a.mu.Unlock()
		for _, m := range leaving {
			_, _ = a.cache.tier.Eval(ctx, a.leave, registryName, m) // else it lapses
		}
		if due {
			a.renewLease(ctx, member, epoch)
		}
	}
}

func (a *acks) renewLease(ctx context.Context, member string, epoch uint64) {
	sent := time.Now()
	cmd, err := a.cache.tier.Eval(ctx, a.renew, registryName, member, a.lease.Milliseconds(), a.registryLife())
	if err != nil {
		return // contact is the next occasion
	}
	if stood, err := cmd.Int(); err != nil || stood == 0 {
		a.cache.flush() // who changed something meanwhile has not waited for us
	}
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.epoch != epoch {
		return
	}
	a.renewed = sent
	a.waiting = &renewal{at: now, until: int64(a.cache.local.Since(sent) + a.lease - a.lease/leaseMargin)}
}

func (a *acks) registryLife() int64 { return max(registryLife, 2*a.lease).Milliseconds() }

// close ends the lease and the goroutines, and waits until ctx ends. No round may
// begin after it.
func (a *acks) close(ctx context.Context) error {
	a.until.Store(0)
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.end()
	return await(ctx, &a.running)
}

func unacknowledged(cause error) error { return fmt.Errorf("%w: %w", ErrUnacknowledged, cause) }
