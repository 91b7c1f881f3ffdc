package cache

import (
	"context"
	"math/rand/v2"
	"time"
)

// claim asks for the right to fill the key. It reports whether that already
// decided the flight's outcome, because there is a value by now, or because a
// refresh is not to be.
func (r *run[V]) claim() (decided bool) {
	if r.seen.at != atNothing {
		if decided, settled := r.claimPresent(); settled {
			return decided
		}
	}
	t, ctx := r.typed, r.load.ctx
	f := follower{waker: t.waker}
	defer f.end()
	for attempt := 0; attempt < claimAttempts; attempt++ {
		hinted := false
		if t.leaser != nil {
			var claim LeaseReply
			var err error
			claim, hinted, err = t.follow(ctx, r.key, &f)
			claim.Err = err
			r.by.setClaim(r.flight, claim)
			if err == nil && claim.State == LeaseGranted {
				r.right.lease = claim.Lease
				return false
			}
			if err == nil && claim.State == LeaseMarked {
				r.unfillable = ErrBeingWritten
			}
			if err != nil || claim.State != LeaseFound {
				break
			}
		}
		r.by.setReading(r.flight, true)
		value, s, err := t.lookup(ctx, r.key)
		if s.live() || s.at == atNegative {
			r.decide(value, s)
			return true
		}
		if s.at == atExpired {
			r.seen = s
			if decided, settled := r.claimPresent(); settled {
				return decided
			}
			continue
		}
		if err == nil && t.leaser == nil {
			return false
		}
		// What was read of the key is forgotten, so its removal does not
		// concern this flight.
		r.by.setReading(r.flight, false)
		if err != nil || s.at == atUndecodable && t.remove(ctx, r.key) != nil {
			break
		}
		if hinted && s.at == atNothing {
			attempt-- // the load that it followed has failed, and no key changed
		}
	}
	r.cached = false
	return false
}

// decide makes what is there the flight's outcome.
func (r *run[V]) decide(value V, s sight) {
	r.value, r.cached = value, false
	if s.at == atNegative {
		r.outcome = ErrNotFound
	}
}

// claimPresent asks for the right to replace the entry that was seen. It is not
// settled if there is none: then the key is to be claimed as an absent one, unless
// that would be a refresh of nothing.
func (r *run[V]) claimPresent() (decided, settled bool) {
	t := r.typed
	p, st := t.stand(r.load.ctx, r.by, r.flight, r.key, r.seen, r.background)
	switch st {
	case standingReady:
		r.right = right{replace: true, base: p.base, guard: p.guard}
		r.entry.previous, r.entry.previousETag = &p.value, p.etag
		return false, true
	case standingDecided:
		r.decide(p.value, p.seen)
		return true, true
	case standingGone:
		if !r.background {
			return false, false
		}
	default:
		if !r.background {
			r.cached, r.unfillable = false, errBusy
			return false, true
		}
		t.noteQuiet(r.by, r.flight, Freshness{})
	}
	r.cached, r.outcome = false, ErrAbandoned // who waits for it looks anew
	return true, true
}

// follow asks for a lease of key, and while another process's load is in charge
// of it asks again: that one ends with a value, gives up, or its process dies
// and its lease runs out. One goroutine per key and process asks, however many
// callers wait. While it may hope for a hint it asks seldom; at a hint it returns
// as if it had asked and been told that there is a value, for mostly there is.
func (t *Typed[V]) follow(ctx context.Context, key string, f *follower) (reply LeaseReply, hinted bool, err error) {
	pause := followFirst
	for {
		reply, err := t.leaser.Lease(ctx, key, t.leaseTime())
		if err != nil || reply.State != LeaseBusy || t.peeker == nil {
			return reply, false, err
		}
		wake, wait := f.await(ctx, key, reply.Lease), followHinted
		if wake == nil {
			wait, pause = pause, min(2*pause, followMost)
		}
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-timer.C:
		case <-wake:
			timer.Stop()
			f.end()
			return LeaseReply{State: LeaseFound}, true, nil
		case <-ctx.Done():
			timer.Stop()
			return reply, false, ctx.Err()
		}
	}
}

const (
	// followFirst and followMost are the pauses between a follower's questions,
	// before chance makes each up to half shorter or longer.
	followFirst = 2 * time.Millisecond
	followMost  = 20 * time.Millisecond

	// followHinted is the pause of a follower that waits for a hint, which may
	// get lost.
	followHinted = 64 * time.Millisecond

	// leaseTime is how long a lease lasts that is shared with other processes.
	// Its holder extends it, so it bounds only how long the others wait for a
	// process that died.
	sharedLeaseTime = 5 * time.Second
)

// leaseTime returns how long a lease lasts before it must be extended.
func (t *Typed[V]) leaseTime() time.Duration {
	if t.peeker == nil {
		return t.opts.LoadTimeout // no process can die but this one
	}
	return min(sharedLeaseTime, t.opts.LoadTimeout)
}

// claimAttempts is how often a key may change between the steps of a claim
// before its load gives up filling it.
const claimAttempts = 3
