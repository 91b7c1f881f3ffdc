package cache

import (
	"context"
	"slices"
	"time"
)

// leased is a flight whose load holds a lease.
type leased struct {
	by     *Coordinator
	flight *flight
	key    string
	lease  Lease
}

// hold looks after the leases of one load while its loader runs.
//
// When nobody wants the load any more, because it was abandoned, voided or took
// too long, it gives the leases back at once: a loader that pays no heed to its
// context must not keep others from filling its keys.
//
// In a cache that other processes write it extends the leases, so that a lease
// can be much shorter than a load may take: a process that dies keeps the others
// waiting for that short time only. A lease that is gone was voided by another
// process; then so is the flight, as if the key had been written here.
//
// It costs a timer. Only a load that takes longer than a third of the lease
// time gets a goroutine.
type hold struct {
	// Immutable.
	leaser Leaser
	load   *load
	leases []leased
	lasts  time.Duration // a lease, from when it is extended

	forget   func() bool // unless the load has ended
	returned chan struct{}

	timer    *time.Timer // nil if the leases need no extending
	quit     chan struct{}
	extended chan struct{}
}

// hold begins to look after the leases, if there are any.
func (t *Typed[V]) hold(l *load, leases ...leased) *hold {
	if len(leases) == 0 {
		return nil
	}
	h := &hold{leaser: t.leaser, load: l, leases: leases, lasts: t.leaseTime(), returned: make(chan struct{})}
	h.forget = context.AfterFunc(l.ctx, h.giveBack)
	if t.peeker != nil {
		h.quit, h.extended = make(chan struct{}), make(chan struct{})
		h.timer = time.AfterFunc(h.lasts/3, h.extend)
	}
	return h
}

// end ends the looking after, and waits for it. Leases that were not given back
// are the caller's to spend.
func (h *hold) end() {
	if h == nil {
		return
	}
	if h.timer != nil {
		close(h.quit)
		if !h.timer.Stop() {
			<-h.extended
		}
	}
	if !h.forget() {
		<-h.returned
	}
}

// giveBack releases the leases.
func (h *hold) giveBack() {
	defer close(h.returned)
	ctx := context.WithoutCancel(h.load.ctx)
	for _, l := range h.leases {
		_ = h.leaser.Release(ctx, l.key, l.lease) // else it runs out by itself
	}
}

// extend extends the leases until end, or until the load's context ends.
func (h *hold) extend() {
	defer close(h.extended)
	tick := time.NewTicker(h.lasts / 3)
	defer tick.Stop()
	standing := slices.Clone(h.leases)
	for {
		standing = slices.DeleteFunc(standing, h.isGone)
		select {
		case <-h.quit:
			return
		case <-h.load.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// isGone extends one lease, and voids its flight if it does not stand. If that
// cannot be told it is not gone.
func (h *hold) isGone(l leased) bool {
	stands, err := h.leaser.Extend(h.load.ctx, l.key, l.lease, h.lasts)
	if err != nil || stands {
		return false
	}
	if l.by.void(l.flight) {
		l.by.leaseLost(h.load.ctx)
	}
	return true
}
