package cachetest

import (
	"time"

	"github.com/larder-go/larder/cache"
)

// needMarks makes the cases ask for WriteMarker and Leaser.
func needMarks(in []testCase) []testCase {
	for i := range in {
		in[i].needs = append([]need{marker, leaser}, in[i].needs...)
	}
	return in
}

func markCases() []testCase {
	return needMarks([]testCase{
		{
			name: "Mark/KeyHasNoValue",
			rule: "From BeginWrite to EndWrite the key has no value: what was there is gone, and every read is a miss.",
			run: func(e *env) {
				e.setLong("k", "old")
				m := e.mark("k")
				e.wantMiss("k")
				e.refresh("k")
				if b, ok := cache.As[cache.Batcher](e.c); ok {
					results, err := b.GetMany(e.ctx, []string{"k"})
					e.must("GetMany", err)
					e.wantResults(results, miss)
				}
				if a, ok := cache.As[cache.Appender](e.c); ok {
					_, found, err := a.AppendTo(e.ctx, nil, "k")
					e.must("AppendTo", err)
					if found {
						e.errorf("AppendTo finds a value where there is but a mark")
					}
				}
				if _, ok := cache.As[cache.Counter](e.c); ok {
					e.wantNoCount("k")
				}
				if v, ok := cache.As[cache.Versioner](e.c); ok {
					if _, found, err := v.GetItem(e.ctx, "k"); found || err != nil {
						e.errorf("GetItem of a marked key = %v, %v, want a miss", found, err)
					}
					e.wantNewer("k", cache.Version{}, "", false, false)
				}
				e.must("EndWrite", e.end("k", m))
				e.wantMiss("k")
			},
		},
		{
			name: "Mark/LeaseShowsTheEpoch",
			rule: "Lease of a marked key is LeaseMarked with the mark's epoch, the same one until it changes; so is LeaseMany, and Peek.",
			run: func(e *env) {
				m := e.mark("k")
				if m.Writer == [16]byte{} || m.Epoch == [16]byte{} || m.Writer == m.Epoch {
					e.fatalf("BeginWrite of a free key = %x, want a writer and an epoch", m)
				}
				for range 2 {
					e.wantEpoch("k", m.Epoch)
				}
				replies := e.leaseMany("k", "free")
				if r := replies[0]; r.State != cache.LeaseMarked || r.Lease != m.Epoch || replies[1].State != cache.LeaseGranted {
					e.errorf("LeaseMany of a marked key and a free one = %+v", replies)
				}
				if p, ok := cache.As[cache.Peeker](e.c); ok {
					value, r, err := p.Peek(e.ctx, "k")
					if value != nil || err != nil || r.State != cache.LeaseMarked || r.Lease != m.Epoch {
						e.errorf("Peek of a marked key = %q, %+v, %v, want LeaseMarked", value, r, err)
					}
				}
			},
		},
		{
			name: "Mark/WritersAreUnguessable",
			rule: "No two BeginWrites have the same writer or the same epoch.",
			run: func(e *env) {
				seen := make(map[[16]byte]bool)
				for range 50 {
					m := e.mark("k")
					if seen[m.Writer] || seen[m.Epoch] {
						e.fatalf("a writer or an epoch was given out before")
					}
					seen[m.Writer], seen[m.Epoch] = true, true
					e.must("EndWrite", e.end("k", m))
				}
			},
		},
		{
			name: "Mark/VoidsTheLease",
			rule: "BeginWrite voids the lease: a fill is ErrLeaseLost, during the write and after it.",
			run: func(e *env) {
				l := e.lease("k")
				m := e.mark("k")
				e.wantErr("fill during the write", e.fill("k", "stale", l), cache.ErrLeaseLost)
				e.wantErr("fill with the epoch", e.fill("k", "stale", m.Epoch), cache.ErrLeaseLost)
				e.wantMiss("k")
				e.must("EndWrite", e.end("k", m))
				e.wantErr("fill after the write", e.fill("k", "stale", l), cache.ErrLeaseLost)
				e.wantMiss("k")
			},
		},
		{
			name: "Mark/EndFreesTheKey",
			rule: "After EndWrite the key is free: a lease is granted, and a fill stored.",
			run: func(e *env) {
				e.must("EndWrite", e.end("k", e.mark("k")))
				e.must("fill", e.fill("k", "filled", e.lease("k")))
				e.wantHit("k", "filled")
			},
		},
		{
			name: "Mark/IsForOneKey",
			rule: "A mark is for one key, and so is its writer.",
			run: func(e *env) {
				e.setLong("other", "v")
				m := e.mark("k")
				e.wantHit("other", "v")
				e.must("EndWrite of another key", e.end("other", m))
				e.wantMiss("other")
				e.wantEpoch("k", m.Epoch)
			},
		},
		{
			name: "Mark/RunsOut",
			rule: "A writer that never ends its write marks the key for its ttl, and not a moment longer. Then the key is free, and empty.",
			run: func(e *env) {
				e.setLong("k", "old")
				var m cache.WriteMark
				marked := e.timed(func() { m = e.markFor("k", e.units(2)) })
				e.sleepUntilJustBefore(marked.plus(e.units(2)))
				e.wantEpoch("k", m.Epoch)
				e.sleepUntil(marked.plus(e.units(2)))
				e.wantMiss("k")
				e.must("fill", e.fill("k", "filled", e.lease("k")))
				e.wantHit("k", "filled")
			},
		},
		{
			name: "Mark/EndAfterItRanOut",
			rule: "EndWrite of a mark that is no longer there removes what took its place: a value, or a lease.",
			run: func(e *env) {
				var a, b cache.WriteMark
				marked := e.timed(func() { a, b = e.markFor("a", e.units(1)), e.markFor("b", e.units(1)) })
				e.sleepUntil(marked.plus(e.units(1)))
				e.setLong("a", "may be old")
				l := e.lease("b")
				e.must("EndWrite", e.end("a", a))
				e.must("EndWrite", e.end("b", b))
				e.wantMiss("a")
				e.wantErr("fill", e.fill("b", "may be old", l), cache.ErrLeaseLost)
				e.wantMiss("b")
			},
		},
		{
			name: "Mark/EndsTwice",
			rule: "EndWrite may be called again, and is no error.",
			run: func(e *env) {
				m := e.mark("k")
				for range 3 {
					e.must("EndWrite", e.end("k", m))
					e.must("fill", e.fill("k", "filled", e.lease("k")))
				}
			},
		},
		{
			name: "Mark/BadInput",
			rule: "A ttl that is not positive is ErrInvalidTTL, a mark without a writer ErrInvalidMark; a mark does not go with a lease. Nothing is changed.",
			run: func(e *env) {
				e.setLong("k", "v")
				for _, ttl := range []time.Duration{0, -time.Second, cache.NoExpiry} {
					_, err := as[cache.WriteMarker](e).BeginWrite(e.ctx, "k", ttl)
					e.wantErr("BeginWrite", err, cache.ErrInvalidTTL)
				}
				e.wantErr("EndWrite of no mark", e.end("k", cache.WriteMark{}), cache.ErrInvalidMark)
				e.wantErr("EndWrite without a writer", e.end("k", cache.WriteMark{Epoch: [16]byte{1}}), cache.ErrInvalidMark)
				e.wantErr("Set without a writer", e.setMarked("k", "new", cache.WriteMark{Epoch: [16]byte{1}}), cache.ErrInvalidMark)
				err := e.c.Set(e.ctx, "k", []byte("new"), cache.EntryOptions{Mark: cache.WriteMark{Writer: [16]byte{1}}, Lease: cache.Lease{1}})
				e.wantErr("Set with a mark and a lease", err, cache.ErrInvalidConfig)
				e.wantHit("k", "v")
			},
		},
	})
}

// mark marks a key, which must work.
func (e *env) mark(key string) cache.WriteMark {
	e.report.Helper()
	return e.markFor(key, time.Hour)
}

func (e *env) markFor(key string, ttl time.Duration) cache.WriteMark {
	e.report.Helper()
	m, err := as[cache.WriteMarker](e).BeginWrite(e.ctx, key, ttl)
	e.must("BeginWrite", err)
	return m
}

func (e *env) end(key string, m cache.WriteMark) error {
	return as[cache.WriteMarker](e).EndWrite(e.ctx, key, m)
}

// setMarked ends a write with a value.
func (e *env) setMarked(key, value string, m cache.WriteMark) error {
	return e.c.Set(e.ctx, key, []byte(value), cache.EntryOptions{TTL: time.Hour, Mark: m})
}

// epoch returns the epoch of a key that must be marked.
func (e *env) epoch(key string) [16]byte {
	e.report.Helper()
	reply := e.reply(key)
	if reply.State != cache.LeaseMarked {
		e.fatalf("Lease of a marked key: state %d, want marked", reply.State)
	}
	return reply.Lease
}

func (e *env) wantEpoch(key string, want [16]byte) {
	e.report.Helper()
	if got := e.epoch(key); got != want {
		e.errorf("the mark has another epoch than BeginWrite returned")
	}
}
