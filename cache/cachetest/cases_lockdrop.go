package cachetest

import (
	"time"

	"github.com/larder-go/larder/cache"
)

// lockDropCases check that every unconditional write succeeds on a locked entry
// and drops the lock.
func lockDropCases() []testCase {
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
		{"SetMany", []need{batcher}, func(e *env) error {
			return as[cache.Batcher](e).SetMany(e.ctx, []cache.Item{{Key: "k", Value: []byte("newer")}})
		}, "newer"},
		{"RemoveMany", []need{batcher}, func(e *env) error {
			return as[cache.Batcher](e).RemoveMany(e.ctx, []string{"k"})
		}, miss},
		{"Clear", []need{clearer}, func(e *env) error { return as[cache.Clearer](e).Clear(e.ctx) }, miss},
		{"SetObject", []need{objects}, func(e *env) error {
			return as[cache.Objects](e).SetObject(e.ctx, "k", "newer", cache.EntryOptions{})
		}, unread},
		{"CompareAndSet", nil, func(e *env) error {
			_, err := e.tryCAS("k", "newer", e.version("k"))
			return err
		}, "newer"},
		{"RemoveVersion", nil, func(e *env) error {
			e.removeVersion("k", e.version("k"), true)
			return nil
		}, miss},
	}
	var out []testCase
	for _, w := range writes {
		out = append(out, testCase{
			name:  "Locked/DroppedBy" + w.name,
			rule:  "A lock compels nobody: a write without its handle succeeds and drops the lock, and the handle is dead.",
			needs: w.needs,
			run: func(e *env) {
				e.setLong("k", "old")
				h := e.lock("k", time.Hour)
				e.must(w.name, w.write(e))
				switch w.left {
				case miss:
					e.wantMiss("k")
					e.wantErr("Unlock after the write", e.unlock("k", h, 0), cache.ErrNoEntry)
					e.removeLocked("k", h, false)
					_, err := e.put("k", "by a dead handle", h)
					e.wantErr("PutAndUnlock after the write", err, cache.ErrNoEntry)
					e.wantMiss("k")
					e.setLong("k", "anew")
					e.wantDead("k", h, cache.ErrNotLocked)
				case unread:
					_, _, err := as[cache.Objects](e).GetObject(e.ctx, "k")
					e.must("GetObject after the write", err)
					e.setLong("k", "bytes again")
					e.wantDead("k", h, cache.ErrNotLocked)
				default:
					e.wantHit("k", w.left)
					e.wantDead("k", h, cache.ErrNotLocked)
					e.lock("k", time.Hour)
				}
			},
		})
	}
	return needLocks(out)
}
