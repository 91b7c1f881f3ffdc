package cache

import (
	"context"
	"crypto/sha256"
)

// present is an entry that is there, and the right to replace it.
type present[V any] struct {
	value  V
	seen   sight
	etag   string
	base   Version // zero: the cache has no versions, and only this Typed writes it
	locked bool
	order  uint64
	tokens []Token

	guard Lease // keeps other processes from refreshing it, too
}

// right is the right to store what a load brings: a lease of an absent key, or an
// entry to be replaced.
type right struct {
	lease   Lease
	replace bool
	base    Version
	guard   Lease
}

// leases returns what must be looked after while the load runs.
func (r right) leases(by *Coordinator, f *flight, key string) (leases []leased) {
	if r.lease != (Lease{}) {
		leases = append(leases, leased{by, f, key, r.lease})
	}
	if r.guard != (Lease{}) {
		leases = append(leases, leased{by, f, guardKey(key), r.guard})
	}
	return leases
}

// present reads the entry under key with its version.
func (t *Typed[V]) present(ctx context.Context, key string) (p present[V], err error) {
	if t.own != nil {
		data, ok, err := t.cache.Get(ctx, key)
		if !ok || err != nil {
			return p, err
		}
		var etag []byte
		p.value, etag, p.seen = t.decode(ctx, data)
		p.etag = string(etag)
		return p, nil
	}
	if t.objects != nil {
		item, ok, err := t.changers.objectVersioner.GetObjectItem(ctx, key)
		if !ok || err != nil {
			return p, err
		}
		p.value, p.etag, p.seen = t.unhold(ctx, item.Value)
		p.base, p.locked, p.order, p.tokens = item.Version, item.Locked, item.Order, item.Tokens
		return p, nil
	}
	item, ok, err := t.changers.versioner.GetItem(ctx, key)
	if !ok || err != nil {
		return p, err
	}
	var etag []byte
	p.value, etag, p.seen = t.decode(ctx, item.Value)
	p.etag = string(etag)
	p.base, p.locked, p.order, p.tokens = item.Version, item.Locked, item.Order, item.Tokens
	return p, nil
}

// refreshed reports whether the entry is by now what seen was to become.
func (p *present[V]) refreshed(seen sight) bool {
	switch p.seen.at {
	case atNegative:
		return true
	case atStale:
		return seen.at == atExpired
	case atValue, atAhead:
		return seen.at != atAhead || p.seen.age < seen.age
	}
	return false
}

// kept reports whether the entry is to be left as it is: locked, or stored in
// its source's order and not expired.
func (p *present[V]) kept() bool { return p.locked || p.order != 0 && p.seen.at != atExpired }

// guardKey is the key whose lease is the right to refresh the entry under key. It
// has the same hash tag, if any. There is never a value under it.
func guardKey(key string) string {
	const prefix = "larder refresh\x00"
	if len(prefix)+len(key) <= MaxKeyLength {
		return prefix + key
	}
	sum := sha256.Sum256([]byte(key))
	return prefix + "\x00" + string(sum[:])
}

// takeGuard asks for the right to refresh key, where other processes might. If
// another has it the caller waits for its end, if it wants to. A cache that cannot
// be asked gives no right: then nobody may store.
func (t *Typed[V]) takeGuard(ctx context.Context, key string, wait bool) (guard Lease, state LeaseState, err error) {
	if t.peeker == nil {
		return Lease{}, LeaseGranted, nil
	}
	name := guardKey(key)
	if !wait {
		reply, err := t.leaser.Lease(ctx, name, t.leaseTime())
		return reply.Lease, reply.State, err
	}
	f := follower{waker: t.waker}
	defer f.end()
	for {
		reply, hinted, err := t.follow(ctx, name, &f)
		if !hinted {
			return reply.Lease, reply.State, err
		}
	}
}

// standing is what a load that is to refresh an entry found.
type standing uint8

const (
	standingReady   standing = iota // the entry is the load's to replace
	standingDecided                 // there is a value that will do, or a negative entry
	standingGone                    // there is no entry
	standingBusy                    // somebody else refreshes it, or it is to be left alone
	standingBlind                   // the cache cannot be asked, or gives no right: load and do not store
)

// stand finds out whether the entry under key, seen before, is f's to refresh. The
// version is read before the load begins, so that the entry is replaced only if
// nothing was written since.
func (t *Typed[V]) stand(ctx context.Context, by *Coordinator, f *flight, key string, seen sight, background bool) (p present[V], st standing) {
	guard, state, err := t.takeGuard(ctx, key, !background)
	switch {
	case err != nil:
		return p, standingBlind
	case state != LeaseGranted:
		return p, standingBusy
	}
	by.setClaim(f, LeaseReply{State: LeaseFound}) // until its tokens are known, every one voids it
	by.setReading(f, true)
	p, err = t.present(ctx, key)
	p.guard = guard
	switch {
	case err != nil:
		st = standingBlind
	case p.refreshed(seen):
		st = standingDecided
	case p.seen.live() || p.seen.at == atExpired:
		st = standingReady
		if p.kept() {
			st = standingBusy
		}
	default:
		by.setReading(f, false)
		st = standingGone
	}
	if st != standingReady {
		if st != standingDecided {
			by.setClaim(f, unclaimed)
		}
		t.releaseGuard(ctx, key, guard)
		return p, st
	}
	by.setBase(f, p.base, p.tokens)
	return p, st
}
