package cachetest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
)

// markWriteCases store something while a key is marked.
func markWriteCases() []testCase {
	return needMarks(append([]testCase{
		{
			name: "Mark/SetWithItStores",
			rule: "A Set with the mark ends the write and stores value and expiration.",
			run: func(e *env) {
				m := e.mark("k")
				set := e.set("k", "written", cache.EntryOptions{Mark: m, TTL: e.units(2)})
				e.wantHit("k", "written")
				e.aliveUntil(set.plus(e.units(2)), "k")
				e.goneAt(set.plus(e.units(2)), "k")
				e.lease("k")
			},
		},
		{
			name: "Mark/SetWithItTwice",
			rule: "A second Set with one mark stores nothing and is ErrWriteOverlapped, for the write has ended.",
			run: func(e *env) {
				m := e.mark("k")
				e.must("Set", e.setMarked("k", "first", m))
				e.wantErr("second Set", e.setMarked("k", "second", m), cache.ErrWriteOverlapped)
				e.wantMiss("k")
			},
		},
		{
			name: "Mark/SetAfterItRanOut",
			rule: "A Set whose mark is no longer there stores nothing, is ErrWriteOverlapped, and removes what took its place.",
			run: func(e *env) {
				var m cache.WriteMark
				marked := e.timed(func() { m = e.markFor("k", e.units(1)) })
				e.sleepUntil(marked.plus(e.units(1)))
				e.setLong("k", "may be old")
				e.wantErr("Set", e.setMarked("k", "late", m), cache.ErrWriteOverlapped)
				e.wantMiss("k")
			},
		},
		{
			name: "Mark/SetManyWithThem", needs: []need{batcher},
			rule: "SetMany ends a write for each item with a mark; what overlapped is not stored.",
			run: func(e *env) {
				a, b := e.mark("a"), e.mark("b")
				e.mark("b")
				err := as[cache.Batcher](e).SetMany(e.ctx, []cache.Item{
					{Key: "a", Value: []byte("1"), Options: cache.EntryOptions{Mark: a}},
					{Key: "b", Value: []byte("2"), Options: cache.EntryOptions{Mark: b}},
					{Key: "c", Value: []byte("3")},
				})
				e.wantBatchError("SetMany", err, nil, cache.ErrWriteOverlapped, nil)
				e.wantHit("a", "1")
				e.wantMiss("b")
				e.wantHit("c", "3")
			},
		},
		{
			name: "Mark/SetObjectWithIt", needs: []need{objects},
			rule: "SetObject with the mark stores as Set does, or is ErrWriteOverlapped.",
			run: func(e *env) {
				m := e.mark("k")
				e.setObject("k", "object", cache.EntryOptions{Mark: m})
				if v, found := e.getObject("k"); v != "object" || !found {
					e.errorf("GetObject = %v, %v, want what was written", v, found)
				}
				err := as[cache.Objects](e).SetObject(e.ctx, "k", "again", cache.EntryOptions{Mark: m})
				e.wantErr("second SetObject", err, cache.ErrWriteOverlapped)
				e.wantNoObject("k")
			},
		},
		{
			name: "Mark/SetIfNewerIsRefused", needs: []need{ordered},
			rule: "SetIfNewer of a marked key is ErrBeingWritten, whatever the order; the mark stays as it is.",
			run: func(e *env) {
				m := e.mark("k")
				e.wantErr("SetIfNewer", e.newer("k", "v", 7), cache.ErrBeingWritten)
				e.wantMiss("k")
				e.wantEpoch("k", m.Epoch)
				e.must("EndWrite", e.end("k", m))
				e.must("SetIfNewer", e.newer("k", "v", 1))
				e.wantOrdered("k", "v", 1)
			},
		},
		{
			name: "Mark/AddIsRefused", needs: []need{versioner},
			rule: "A mark is no entry, but Add is ErrBeingWritten, CompareAndSet ErrNoEntry, and RemoveVersion removes nothing; the mark stays as it is.",
			run: func(e *env) {
				m := e.mark("k")
				_, err := e.addNew("k", "v", time.Hour)
				e.wantErr("Add", err, cache.ErrBeingWritten)
				_, err = e.tryCAS("k", "v", m.Epoch)
				e.wantErr("CompareAndSet", err, cache.ErrNoEntry)
				e.removeVersion("k", m.Epoch, false)
				e.wantMiss("k")
				e.wantEpoch("k", m.Epoch)
				e.must("EndWrite", e.end("k", m))
				_, err = e.addNew("k", "v", time.Hour)
				e.must("Add", err)
			},
		},
		{
			name: "Mark/LockingNeedsForce", needs: []need{locker},
			rule: "A marked key has no entry to lock; a forced lock drops the mark, and EndWrite then ends the lock.",
			run: func(e *env) {
				m := e.mark("k")
				_, _, err := e.tryLock("k", time.Hour)
				e.wantErr("GetAndLock", err, cache.ErrNoEntry)
				e.wantErr("Unlock", e.unlock("k", cache.LockHandle{1}, 0), cache.ErrNoEntry)
				_, err = e.put("k", "v", cache.LockHandle{1})
				e.wantErr("PutAndUnlock", err, cache.ErrNoEntry)
				e.removeLocked("k", cache.LockHandle{1}, false)
				e.wantErr("ResetTTL", as[cache.Locker](e).ResetTTL(e.ctx, "k", time.Hour), cache.ErrNoEntry)
				e.wantEpoch("k", m.Epoch)
				h := e.force("k", time.Hour)
				e.wantLease("k", cache.LeaseReply{State: cache.LeaseRefused})
				e.must("EndWrite", e.end("k", m))
				e.wantErr("Unlock", e.unlock("k", h, 0), cache.ErrNoEntry)
				e.lease("k")
			},
		},
		{
			name: "Mark/OthersLeaveIt",
			rule: "Refresh, Extend and Release leave a mark as it is.",
			run: func(e *env) {
				m := e.mark("k")
				e.refresh("k")
				for _, l := range []cache.Lease{m.Epoch, m.Writer} {
					e.extend("k", l, time.Hour, false)
					e.release("k", l)
				}
				e.wantEpoch("k", m.Epoch)
				e.must("Set", e.setMarked("k", "v", m))
				e.wantHit("k", "v")
			},
		},
	}, markDropCases()...))
}

// markDropCases check that a plain write drops a mark, and what EndWrite then does.
func markDropCases() []testCase {
	var out []testCase
	for _, w := range []struct {
		name  string
		needs []need
		write func(e *env) error
	}{
		{"Set", nil, func(e *env) error { return e.c.Set(e.ctx, "k", []byte("v"), cache.EntryOptions{}) }},
		{"SetMany", []need{batcher}, func(e *env) error {
			return as[cache.Batcher](e).SetMany(e.ctx, []cache.Item{{Key: "k", Value: []byte("v")}})
		}},
		{"Increment", []need{counter}, func(e *env) error { _, err := e.increment("k", 1); return err }},
		{"SetObject", []need{objects}, func(e *env) error {
			return as[cache.Objects](e).SetObject(e.ctx, "k", "v", cache.EntryOptions{})
		}},
	} {
		out = append(out, testCase{
			name:  "Mark/DroppedBy" + w.name,
			rule:  "A plain write drops a mark and what it stored is there; EndWrite then removes that, for nobody can tell when it was loaded.",
			needs: w.needs,
			run: func(e *env) {
				for _, end := range []struct {
					do   func(m cache.WriteMark) error
					want error
				}{
					{func(m cache.WriteMark) error { return e.end("k", m) }, nil},
					{func(m cache.WriteMark) error { return e.setMarked("k", "mine", m) }, cache.ErrWriteOverlapped},
				} {
					m := e.mark("k")
					e.must(w.name, w.write(e))
					e.wantLease("k", cache.LeaseReply{State: cache.LeaseFound})
					e.wantErr("end", end.do(m), end.want)
					e.wantMiss("k")
					e.remove("k")
				}
			},
		})
	}
	return out
}

// markedLoadCases load through the typed layer while the key is marked.
func markedLoadCases() []testCase {
	load := func(value string, loads *atomic.Int32) func(context.Context, *cache.Entry) (string, error) {
		return func(context.Context, *cache.Entry) (string, error) {
			loads.Add(1)
			return value, nil
		}
	}
	return needMarks([]testCase{
		{
			name: "Mark/LoadsAreNotStored", needs: []need{coordinated},
			rule: "While a key is marked loads run, and their results are not stored.",
			run: func(e *env) {
				typed := e.typed()
				var loads atomic.Int32
				m := e.mark("k")
				for range 3 {
					e.wantLoaded(typed, "k", "under the mark", load("under the mark", &loads))
				}
				id := func(k string) string { return k }
				got, err := cache.GetOrCreateMany(e.ctx, typed, []string{"k", "free"}, id,
					func(_ context.Context, ids []string, _ *cache.Entry) (map[string]string, error) {
						loads.Add(1)
						return map[string]string{"k": "k", "free": "free"}, nil
					})
				if err != nil || got["k"] != "k" || got["free"] != "free" {
					e.errorf("GetOrCreateMany = %v, %v, want both", got, err)
				}
				if n := loads.Load(); n != 4 {
					e.errorf("%d loads ran, want 4: none of the marked key is stored", n)
				}
				e.wantMiss("k")
				if _, found, err := typed.Get(e.ctx, "free"); !found || err != nil {
					e.errorf("Get of the key that is not marked = %v, %v, want a hit", found, err)
				}
				e.must("EndWrite", e.end("k", m))
				e.wantLoaded(typed, "k", "after it", load("after it", &loads))
				e.wantLoaded(typed, "k", "after it", load("never", &loads))
			},
		},
		{
			name: "Mark/CallerAfterEndDoesNotJoin", needs: []need{coordinated},
			rule: "A caller that starts after EndWrite returned does not join a load that began under the mark.",
			run:  func(e *env) { e.loadUnderMark(func(m cache.WriteMark) error { return e.end("k", m) }) },
		},
		{
			name: "Mark/CallerAfterRemoveDoesNotJoin", needs: []need{coordinated},
			rule: "A caller that starts after a Remove returned does not join a load that began under a mark which still stands.",
			run:  func(e *env) { e.loadUnderMark(func(cache.WriteMark) error { return e.c.Remove(e.ctx, "k") }) },
		},
	})
}

// loadUnderMark begins a load under a mark, and after change starts a caller
// that must not join it.
func (e *env) loadUnderMark(change func(m cache.WriteMark) error) {
	e.report.Helper()
	m := e.mark("k")
	typed := e.typed()
	started, held := make(chan struct{}, 1), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release() // what follows may end the case
	var loads atomic.Int32
	load := func(context.Context, *cache.Entry) (string, error) {
		if loads.Add(1) > 1 {
			return "fresh", nil
		}
		started <- struct{}{}
		<-held
		return "stale", nil
	}
	first := make(chan error, 1)
	go func() {
		_, err := typed.GetOrCreateExclusive(e.ctx, "k", load)
		first <- err
	}()
	begun(e, started, first)
	e.must("change", change(m))
	late := make(chan struct{})
	go func() { // in its own goroutine, in case it joins the load
		defer close(late)
		e.wantLoaded(typed, "k", "fresh", load)
	}()
	select {
	case <-late:
	case <-time.After(time.Second):
		e.errorf("a caller that came afterwards waits for the load that began before")
	}
	release()
	<-late
	e.must("the first caller", <-first)
	e.settle()
	if value, found, err := typed.Get(e.ctx, "k"); err != nil || found && value != "fresh" {
		e.errorf("Get afterwards = %q, %v, %v, want nothing stale", value, found, err)
	}
}
