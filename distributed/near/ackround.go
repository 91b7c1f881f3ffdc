package near

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/larder-go/larder/cache"
)

// round is one barrier, for all changes that had returned when it was sent.
type round struct {
	// Set before done is closed.
	err  error
	done chan struct{}

	news chan struct{} // an acknowledgement has come

	// Guarded by the acks' mutex.
	acked map[string]bool // nodes
}

// newNode returns a name that no other node has.
func newNode() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// wait returns when no near cache serves what was before a change that has just
// been made. Calls that come while a barrier is on its way share the next one.
func (a *acks) wait(ctx context.Context) error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return unacknowledged(cache.ErrClosed)
	}
	r := a.next
	if r == nil {
		r = &round{done: make(chan struct{}), news: make(chan struct{}, 1), acked: make(map[string]bool)}
		a.next = r
		a.running.Go(func() { a.run(r) })
	}
	a.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return unacknowledged(ctx.Err())
	}
}

// run is the round's goroutine.
func (a *acks) run(r *round) {
	defer close(r.done)
	select {
	case a.sending <- struct{}{}:
	case <-a.ended.Done():
	}
	a.mu.Lock()
	a.next = nil // who has changed something from now on is not covered
	a.last++
	id := a.last
	a.rounds[id] = r
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.rounds, id)
		a.mu.Unlock()
	}()
	if a.ended.Err() != nil {
		r.err = unacknowledged(cache.ErrClosed)
		return
	}
	lapses, err := a.askAll(id)
	<-a.sending
	if err != nil {
		r.err = unacknowledged(err)
		return
	}
	r.err = a.collect(r, lapses)
}

// askAll sends the barrier, and returns until when to wait for which node. As long
// as the server does not answer it tries again, but not longer than a lease.
func (a *acks) askAll(id uint64) (lapses map[string]time.Time, err error) {
	payload := a.node + " " + strconv.FormatUint(id, 10)
	for start := time.Now(); ; {
		cmd, err := a.cache.tier.Eval(a.ended, a.ask, registryName, a.node, a.cache.tier.Channel(registryName), payload, a.registryLife())
		if err == nil {
			return a.lapses(cmd.Slice())
		}
		if time.Since(start) > a.lease {
			return nil, err
		}
		pause := time.NewTimer(a.lease / 16)
		select {
		case <-pause.C:
		case <-a.ended.Done():
			pause.Stop()
			return nil, cache.ErrClosed
		}
	}
}

// lapses reads what the barrier's script returns, which has just come. A node's
// lease counts from when the server looked, which was before. The entry "" is of the
// nodes that are not known any more.
func (a *acks) lapses(reply []any, err error) (map[string]time.Time, error) {
	if err != nil {
		return nil, err
	}
	now := time.Now()
	after := func(ms int64) time.Time { return now.Add(time.Duration(ms+1) * time.Millisecond) } // whole ones, cut off
	lapses := make(map[string]time.Time, len(reply)/2)
	for i := 1; i+1 < len(reply); i += 2 {
		node, ok := reply[i].(string)
		left, isInt := reply[i+1].(int64)
		if !ok || !isInt {
			return nil, cache.ErrUnavailable
		}
		lapses[node] = later(lapses[node], after(left))
	}
	if len(reply) == 0 {
		return nil, cache.ErrUnavailable
	}
	if age, ok := reply[0].(int64); !ok || age < a.lease.Milliseconds() {
		lapses[""] = after(a.lease.Milliseconds() - max(age, 0))
	}
	return lapses, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// collect waits until each node has acknowledged, or cannot serve any more.
func (a *acks) collect(r *round, lapses map[string]time.Time) error {
	for {
		var last time.Time
		a.mu.Lock()
		for node, lapse := range lapses {
			if r.acked[node] {
				delete(lapses, node)
				continue
			}
			last = later(last, lapse)
		}
		a.mu.Unlock()
		left := time.Until(last)
		if len(lapses) == 0 || left <= 0 {
			a.lapsed.Add(uint64(len(lapses)))
			return nil
		}
		timer := time.NewTimer(left)
		select {
		case <-r.news:
		case <-timer.C:
		case <-a.ended.Done():
			timer.Stop()
			return unacknowledged(cache.ErrClosed)
		}
		timer.Stop()
	}
}
