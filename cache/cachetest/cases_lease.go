package cachetest

import (
	"fmt"
	"time"

	"github.com/larder-go/larder/cache"
)

func leaseCases() []testCase {
	out := []testCase{
		{
			name: "Lease/Granted",
			rule: "Lease of an absent key grants an unguessable token: never zero, never the same.",
			run: func(e *env) {
				seen := make(map[cache.Lease]bool)
				for i := range 50 {
					l := e.lease(fmt.Sprint("k", i))
					if l == (cache.Lease{}) || seen[l] {
						e.fatalf("lease %d is zero or was given out before", i)
					}
					seen[l] = true
				}
			},
		},
		{
			name: "Lease/BusyShowsItsToken",
			rule: "While another load is in charge of the key its token is shown, and stays in charge.",
			run: func(e *env) {
				l := e.lease("k")
				for range 2 {
					e.wantLease("k", cache.LeaseReply{State: cache.LeaseBusy, Lease: l})
				}
				e.must("fill", e.fill("k", "filled", l))
				e.wantHit("k", "filled")
			},
		},
		{
			name: "Lease/Found",
			rule: "Lease of a key that has a value by now says so.",
			run: func(e *env) {
				e.setLong("k", "v")
				e.wantLease("k", cache.LeaseReply{State: cache.LeaseFound})
				e.wantHit("k", "v")
			},
		},
		{
			name: "Lease/IsNoEntry",
			rule: "A lease is the right to fill a key, not an entry: reading the key is a miss.",
			run: func(e *env) {
				e.lease("k")
				e.wantMiss("k")
				e.refresh("k")
				e.wantMiss("k")
				if b, ok := cache.As[cache.Batcher](e.c); ok {
					results, err := b.GetMany(e.ctx, []string{"k"})
					e.must("GetMany", err)
					e.wantResults(results, miss)
				}
				if n, ok := cache.As[cache.Counter](e.c); ok {
					_, found, err := n.Count(e.ctx, "k")
					e.must("Count", err)
					if found {
						e.errorf("Count finds a counter where there is but a lease")
					}
				}
			},
		},
		{
			name: "Lease/ReadingKeepsIt",
			rule: "Only a write voids a lease: Get and Refresh do not.",
			run: func(e *env) {
				l := e.lease("k")
				e.wantMiss("k")
				e.refresh("k")
				e.must("fill", e.fill("k", "filled", l))
				e.wantHit("k", "filled")
			},
		},
		{
			name: "Lease/FillStores",
			rule: "A Set with the lease that stands stores value and expiration.",
			run: func(e *env) {
				l := e.lease("k")
				set := e.set("k", "filled", cache.EntryOptions{Lease: l, TTL: e.units(2)})
				e.aliveUntil(set.plus(e.units(2)), "k")
				e.goneAt(set.plus(e.units(2)), "k")
			},
		},
		{
			name: "Lease/FillSpendsIt",
			rule: "A lease is spent by its fill: a second one is ErrLeaseLost and changes nothing.",
			run: func(e *env) {
				l := e.lease("k")
				e.must("fill", e.fill("k", "first", l))
				e.wantErr("second fill", e.fill("k", "second", l), cache.ErrLeaseLost)
				e.wantHit("k", "first")
			},
		},
		{
			name: "Lease/FillWithoutLease",
			rule: "A fill whose lease was never given out is ErrLeaseLost and stores nothing.",
			run: func(e *env) {
				e.wantErr("fill of a free key", e.fill("k", "v", cache.Lease{1, 2, 3}), cache.ErrLeaseLost)
				e.wantMiss("k")
				l := e.lease("k")
				other := l
				other[15] ^= 1
				e.wantErr("fill with a token that is nearly right", e.fill("k", "v", other), cache.ErrLeaseLost)
				e.wantMiss("k")
				e.must("fill with the right one", e.fill("k", "filled", l))
				e.wantHit("k", "filled")
			},
		},
		{
			name: "Lease/IsForOneKey",
			rule: "A lease is the right to fill one key: for another it is ErrLeaseLost.",
			run: func(e *env) {
				a, b := e.lease("a"), e.lease("b")
				e.wantErr("fill of b with a's lease", e.fill("b", "v", a), cache.ErrLeaseLost)
				e.wantMiss("b")
				e.must("fill of a", e.fill("a", "1", a))
				e.must("fill of b", e.fill("b", "2", b))
			},
		},
		{
			name: "Lease/RefusedInputKeepsIt",
			rule: "Input is checked before anything is changed: a fill with bad options does not spend the lease.",
			run: func(e *env) {
				l := e.lease("k")
				err := e.c.Set(e.ctx, "k", []byte("v"), cache.EntryOptions{Lease: l, TTL: -1})
				e.wantErr("fill with a bad TTL", err, cache.ErrInvalidTTL)
				e.wantErr("fill with nil", e.c.Set(e.ctx, "k", nil, cache.EntryOptions{Lease: l}), cache.ErrNilValue)
				e.must("fill", e.fill("k", "filled", l))
				e.wantHit("k", "filled")
			},
		},
		{
			name: "Lease/Ends",
			rule: "A lease stands for its ttl at most; then the key is free again, and the old lease lost.",
			run: func(e *env) {
				var old cache.Lease
				taken := e.timed(func() { old = e.leaseFor("k", e.units(2)) })
				e.sleepUntilJustBefore(taken.plus(e.units(2)))
				reply := e.reply("k")
				if reply.State != cache.LeaseBusy || reply.Lease != old {
					e.fatalf("Lease just before the end of another = %v, want busy with its token", reply.State)
				}
				e.sleepUntil(taken.plus(e.units(2)))
				e.wantErr("fill with a lease that ran out", e.fill("k", "late", old), cache.ErrLeaseLost)
				e.wantMiss("k")
				l := e.lease("k")
				if l == old {
					e.errorf("a lease that ran out was given out again")
				}
				e.must("fill", e.fill("k", "new", l))
				e.wantErr("fill with the old lease", e.fill("k", "late", old), cache.ErrLeaseLost)
				e.wantHit("k", "new")
			},
		},
		{
			name: "Lease/AfterExpiry",
			rule: "An expired entry is gone: its key can be leased.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(1))
				e.sleepUntil(set.plus(e.units(1)))
				e.must("fill", e.fill("k", "new", e.lease("k")))
				e.wantHit("k", "new")
			},
		},
	}
	out = append(out, releaseCases()...)
	out = append(out, leaseManyCases()...)
	for i := range out {
		out[i].needs = append(out[i].needs, leaser)
	}
	return out
}

func releaseCases() []testCase {
	return []testCase{
		{
			name: "Extend/LastsLonger",
			rule: "Extend lets a lease that stands last for its ttl from then, and no longer.",
			run: func(e *env) {
				old := e.leaseFor("k", e.units(2))
				taken := e.timed(func() { e.extend("k", old, e.units(4), true) })
				e.sleepUntilJustBefore(taken.plus(e.units(4)))
				e.wantLease("k", cache.LeaseReply{State: cache.LeaseBusy, Lease: old})
				e.sleepUntil(taken.plus(e.units(4)))
				e.extend("k", old, e.units(4), false)
				e.wantErr("fill with a lease that ran out", e.fill("k", "late", old), cache.ErrLeaseLost)
				e.lease("k")
			},
		},
		{
			name: "Extend/OfNoLease",
			rule: "Extend of a lease that does not stand says so, and changes neither an entry nor another's lease.",
			run: func(e *env) {
				e.extend("absent", cache.Lease{1}, time.Hour, false)
				e.wantMiss("absent")
				old := e.lease("k")
				e.release("k", old)
				l := e.lease("k")
				e.extend("k", old, time.Hour, false)
				e.wantErr("fill with the old lease", e.fill("k", "late", old), cache.ErrLeaseLost)
				e.must("fill", e.fill("k", "filled", l))
				e.extend("k", l, time.Hour, false)
				e.wantHit("k", "filled")
			},
		},
		{
			name: "Release/FreesTheKey",
			rule: "Release gives an unused lease back: the key can be leased again, and the old lease is lost.",
			run: func(e *env) {
				old := e.lease("k")
				e.release("k", old)
				l := e.lease("k")
				e.wantErr("fill with the released lease", e.fill("k", "late", old), cache.ErrLeaseLost)
				e.must("fill", e.fill("k", "filled", l))
				e.wantHit("k", "filled")
			},
		},
		{
			name: "Release/OfAnothersChangesNothing",
			rule: "Releasing a lease that no longer stands is no error, and another load's lease stays untouched.",
			run: func(e *env) {
				old := e.lease("k")
				e.release("k", old)
				l := e.lease("k")
				e.release("k", old)
				e.release("k", cache.Lease{})
				e.release("k", cache.Lease{1})
				e.wantLease("k", cache.LeaseReply{State: cache.LeaseBusy, Lease: l})
				e.must("fill", e.fill("k", "filled", l))
			},
		},
		{
			name: "Release/KeepsTheValue",
			rule: "Releasing a lease that no longer stands is no error, and touches no entry.",
			run: func(e *env) {
				e.release("absent", cache.Lease{1})
				e.wantMiss("absent")
				l := e.lease("k")
				e.must("fill", e.fill("k", "filled", l))
				e.release("k", l)
				e.wantHit("k", "filled")
			},
		},
	}
}

func leaseManyCases() []testCase {
	return []testCase{
		{
			name: "LeaseMany/OrderAndStates",
			rule: "LeaseMany is Lease for distinct keys, in their order.",
			run: func(e *env) {
				e.setLong("found", "v")
				held := e.lease("busy")
				replies := e.leaseMany("free", "found", "busy", "free too")
				want := []cache.LeaseState{cache.LeaseGranted, cache.LeaseFound, cache.LeaseBusy, cache.LeaseGranted}
				for i, r := range replies {
					if r.State != want[i] || r.Err != nil {
						e.errorf("LeaseMany: reply %d = %v, %v, want %v", i, r.State, r.Err, want[i])
					}
				}
				if replies[2].Lease != held {
					e.errorf("LeaseMany of a busy key does not show its token")
				}
				if replies[0].Lease == replies[3].Lease {
					e.errorf("LeaseMany gave two keys one token")
				}
				e.must("fill", e.fill("free", "1", replies[0].Lease))
				e.must("fill", e.fill("free too", "2", replies[3].Lease))
			},
		},
		{
			name: "LeaseMany/NoKeys",
			rule: "No keys are no replies and no error.",
			run:  func(e *env) { e.leaseMany() },
		},
		{
			name: "LeaseMany/ErrorsStayWithTheirKeys",
			rule: "What befell one key is in its reply; the others are leased all the same.",
			run: func(e *env) {
				replies := e.leaseMany("a", "", "b")
				e.wantErr("LeaseMany of an empty key", replies[1].Err, cache.ErrInvalidKey)
				if replies[1].State != cache.LeaseRefused {
					e.errorf("LeaseMany of an empty key = %v, want refused", replies[1].State)
				}
				e.must("fill", e.fill("a", "1", replies[0].Lease))
				e.must("fill", e.fill("b", "2", replies[2].Lease))
			},
		},
		{
			name: "LeaseMany/FillBySetMany", needs: []need{batcher},
			rule: "A lease is spent by a SetMany whose item names it: such an item is stored only if the lease stands, and else is ErrLeaseLost.",
			run: func(e *env) {
				replies := e.leaseMany("a", "b", "c")
				e.setLong("b", "newer")
				items := make([]cache.Item, 4)
				for i, key := range []string{"a", "b", "c"} {
					items[i] = cache.Item{Key: key, Value: []byte("filled"),
						Options: cache.EntryOptions{TTL: time.Hour, Lease: replies[i].Lease}}
				}
				items[3] = cache.Item{Key: "plain", Value: []byte("p")}
				err := as[cache.Batcher](e).SetMany(e.ctx, items)
				e.wantBatchError("SetMany", err, nil, cache.ErrLeaseLost, nil, nil)
				e.wantHit("a", "filled")
				e.wantHit("b", "newer")
				e.wantHit("c", "filled")
				e.wantHit("plain", "p")
			},
		},
	}
}

func (e *env) reply(key string) cache.LeaseReply {
	e.report.Helper()
	reply, err := as[cache.Leaser](e).Lease(e.ctx, key, time.Hour)
	e.must("Lease", err)
	return reply
}

// lease takes the lease of a key that must be free.
func (e *env) lease(key string) cache.Lease {
	e.report.Helper()
	return e.leaseFor(key, time.Hour)
}

func (e *env) leaseFor(key string, ttl time.Duration) cache.Lease {
	e.report.Helper()
	reply, err := as[cache.Leaser](e).Lease(e.ctx, key, ttl)
	e.must("Lease", err)
	if reply.State != cache.LeaseGranted {
		e.fatalf("Lease of a free key: state %d, want granted", reply.State)
	}
	return reply.Lease
}

func (e *env) wantLease(key string, want cache.LeaseReply) {
	e.report.Helper()
	if got := e.reply(key); got.State != want.State || got.State == cache.LeaseBusy && got.Lease != want.Lease {
		e.errorf("Lease = %+v, want %+v", got, want)
	}
}

func (e *env) leaseMany(keys ...string) []cache.LeaseReply {
	e.report.Helper()
	replies, err := as[cache.Leaser](e).LeaseMany(e.ctx, keys, time.Hour)
	e.must("LeaseMany", err)
	if len(replies) != len(keys) {
		e.fatalf("LeaseMany of %d keys returned %d replies", len(keys), len(replies))
	}
	return replies
}

func (e *env) fill(key, value string, l cache.Lease) error {
	return e.c.Set(e.ctx, key, []byte(value), cache.EntryOptions{TTL: time.Hour, Lease: l})
}

func (e *env) extend(key string, l cache.Lease, ttl time.Duration, want bool) {
	e.report.Helper()
	stands, err := as[cache.Leaser](e).Extend(e.ctx, key, l, ttl)
	e.must("Extend", err)
	if stands != want {
		e.errorf("Extend = %v, want %v", stands, want)
	}
}

func (e *env) release(key string, l cache.Lease) {
	e.report.Helper()
	e.must("Release", as[cache.Leaser](e).Release(e.ctx, key, l))
}
