package cachetest

import (
	"time"

	"github.com/larder-go/larder/cache"
)

// leaseVoidCases check that every kind of write voids the lease of its key.
func leaseVoidCases() []testCase {
	writes := []struct {
		name  string
		needs []need
		write func(e *env) error
		left  string // what the key holds afterwards, or miss, or unread
	}{
		{"Set", nil, func(e *env) error {
			return e.c.Set(e.ctx, "k", []byte("newer"), cache.EntryOptions{TTL: time.Hour})
		}, "newer"},
		{"Remove", nil, func(e *env) error { return e.c.Remove(e.ctx, "k") }, miss},
		{"SetThenRemove", nil, func(e *env) error {
			e.setLong("k", "newer")
			return e.c.Remove(e.ctx, "k")
		}, miss},
		{"SetMany", []need{batcher}, func(e *env) error {
			return as[cache.Batcher](e).SetMany(e.ctx, []cache.Item{{Key: "k", Value: []byte("newer")}})
		}, "newer"},
		{"RemoveMany", []need{batcher}, func(e *env) error {
			return as[cache.Batcher](e).RemoveMany(e.ctx, []string{"k"})
		}, miss},
		{"Clear", []need{clearer}, func(e *env) error { return as[cache.Clearer](e).Clear(e.ctx) }, miss},
		{"Increment", []need{counter}, func(e *env) error {
			_, err := e.increment("k", 3)
			return err
		}, unread},
		{"IncrementThenRemove", []need{counter}, func(e *env) error {
			_, err := e.increment("k", 3)
			e.must("Increment", err)
			return e.c.Remove(e.ctx, "k")
		}, miss},
		{"SetObject", []need{objects}, func(e *env) error {
			return as[cache.Objects](e).SetObject(e.ctx, "k", "newer", cache.EntryOptions{})
		}, unread},
		{"AnothersFill", nil, func(e *env) error {
			old := e.reply("k").Lease
			e.release("k", old)
			return e.fill("k", "newer", e.lease("k"))
		}, "newer"},
	}
	var out []testCase
	for _, w := range writes {
		out = append(out, testCase{
			name:  "Lease/VoidedBy" + w.name,
			rule:  "A write to the key voids the right to fill it: the fill is ErrLeaseLost and leaves what the write left.",
			needs: append([]need{leaser}, w.needs...),
			run: func(e *env) {
				l := e.lease("k")
				e.must(w.name, w.write(e))
				e.wantErr("fill after the write", e.fill("k", "stale", l), cache.ErrLeaseLost)
				switch w.left {
				case miss:
					e.wantMiss("k")
					e.must("fill with a new lease", e.fill("k", "filled", e.lease("k")))
					e.wantErr("fill with the old lease", e.fill("k", "stale", l), cache.ErrLeaseLost)
					e.wantHit("k", "filled")
				case unread:
					e.wantLease("k", cache.LeaseReply{State: cache.LeaseFound})
				default:
					e.wantHit("k", w.left)
				}
				if o, ok := cache.As[cache.Objects](e.c); ok {
					err := o.SetObject(e.ctx, "k", "stale", cache.EntryOptions{Lease: l})
					e.wantErr("fill with an object after the write", err, cache.ErrLeaseLost)
				}
			},
		})
	}
	return append(out, objectFillCase())
}

// unread stands for an entry that is no byte value.
const unread = "\x00another kind\x00"

func objectFillCase() testCase {
	return testCase{
		name: "Lease/FillBySetObject", needs: []need{leaser, objects},
		rule: "A lease is spent by a SetObject that names it.",
		run: func(e *env) {
			l := e.lease("k")
			e.setObject("k", "filled", cache.EntryOptions{Lease: l})
			err := as[cache.Objects](e).SetObject(e.ctx, "k", "again", cache.EntryOptions{Lease: l})
			e.wantErr("second fill", err, cache.ErrLeaseLost)
			if got, _ := e.getObject("k"); got != any("filled") {
				e.errorf("GetObject = %v, want what the fill stored", got)
			}
		},
	}
}
