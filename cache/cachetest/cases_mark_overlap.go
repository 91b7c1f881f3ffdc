package cachetest

import "github.com/larder-go/larder/cache"

// overlapCases have several writers, or other writes, on one marked key.
func overlapCases() []testCase {
	return needMarks([]testCase{
		{
			name: "Mark/StandsUntilTheLastHasEnded",
			rule: "Several writers may mark one key; the mark stands until the last of them has ended, in whatever order.",
			run: func(e *env) {
				for _, firstFirst := range []bool{true, false} {
					a, b := e.mark("k"), e.mark("k")
					if !firstFirst {
						a, b = b, a
					}
					e.must("EndWrite", e.end("k", a))
					e.epoch("k")
					e.must("EndWrite again", e.end("k", a))
					e.epoch("k")
					e.must("EndWrite", e.end("k", b))
					e.must("fill", e.fill("k", "filled", e.lease("k")))
				}
			},
		},
		{
			name: "Mark/EveryChangeIsAnotherEpoch",
			rule: "Whatever changes a mark gives it another epoch: a writer more, a writer less, one that is not in it, a Remove.",
			run: func(e *env) {
				a := e.mark("k")
				seen := map[[16]byte]bool{a.Epoch: true}
				var b cache.WriteMark
				for _, change := range []struct {
					name string
					do   func() error
				}{
					{"BeginWrite", func() error { b = e.mark("k"); return nil }},
					{"EndWrite", func() error { return e.end("k", a) }},
					{"EndWrite again", func() error { return e.end("k", a) }},
					{"Remove", func() error { return e.c.Remove(e.ctx, "k") }},
					{"EndWrite of a stranger", func() error { return e.end("k", cache.WriteMark{Writer: [16]byte{1}}) }},
				} {
					e.must(change.name, change.do())
					if epoch := e.epoch("k"); seen[epoch] {
						e.errorf("after %s the mark has an epoch that it had before", change.name)
					} else {
						seen[epoch] = true
					}
				}
				if b.Epoch != [16]byte{} {
					e.errorf("BeginWrite of a key that others had marked returned an epoch, want none")
				}
			},
		},
		{
			name: "Mark/OverlapStoresNothing",
			rule: "Of writers that overlap none stores its value: the Set is ErrWriteOverlapped, and ends the write.",
			run: func(e *env) {
				a, b := e.mark("k"), e.mark("k")
				e.wantErr("Set of the first", e.setMarked("k", "a", a), cache.ErrWriteOverlapped)
				e.epoch("k")
				e.wantMiss("k")
				e.wantErr("Set of the second", e.setMarked("k", "b", b), cache.ErrWriteOverlapped)
				e.wantMiss("k")
				e.lease("k")
				e.remove("k")

				a, b = e.mark("k"), e.mark("k")
				e.must("EndWrite of the second", e.end("k", b))
				e.wantErr("Set of the first, now alone", e.setMarked("k", "a", a), cache.ErrWriteOverlapped)
				e.wantMiss("k")
				e.lease("k")
			},
		},
		{
			name: "Mark/OverlapWithACrash",
			rule: "A writer that began while another had marked the key stores nothing, though the other's time is over by then.",
			run: func(e *env) {
				var b cache.WriteMark
				marked := e.timed(func() { e.markFor("k", e.units(1)) })
				b = e.mark("k")
				e.sleepUntil(marked.plus(e.units(1)))
				e.epoch("k")
				e.wantErr("Set of the second", e.setMarked("k", "b", b), cache.ErrWriteOverlapped)
				e.wantMiss("k")
				e.lease("k")
			},
		},
		{
			name: "Mark/LastsAsLongAsItsLastWriter",
			rule: "A mark lasts until the time of each of its writers is over, and ends with the last of those that remain.",
			run: func(e *env) {
				var long cache.WriteMark
				marked := e.timed(func() {
					long = e.markFor("k", e.units(4))
					e.markFor("k", e.units(2))
				})
				e.must("EndWrite of the longest", e.end("k", long))
				e.sleepUntilJustBefore(marked.plus(e.units(2)))
				e.epoch("k")
				e.sleepUntil(marked.plus(e.units(2)))
				e.lease("k")
			},
		},
		{
			name: "Mark/RemoveLetsItStand",
			rule: "Remove lets a mark stand with another epoch: loads under it go unstored, and its writer stores nothing.",
			run: func(e *env) {
				m := e.mark("k")
				e.remove("k")
				if e.epoch("k") == m.Epoch {
					e.errorf("the mark has the epoch of before the Remove")
				}
				e.wantErr("Set", e.setMarked("k", "v", m), cache.ErrWriteOverlapped)
				e.wantMiss("k")
				e.lease("k")
			},
		},
		{
			name: "Mark/RemoveManyLetsItStand", needs: []need{batcher},
			rule: "RemoveMany is Remove of each key: a mark stands with another epoch.",
			run: func(e *env) {
				e.setLong("v", "v")
				m := e.mark("k")
				e.must("RemoveMany", as[cache.Batcher](e).RemoveMany(e.ctx, []string{"v", "k", "absent"}))
				e.wantMiss("v")
				if e.epoch("k") == m.Epoch {
					e.errorf("the mark has the epoch of before the RemoveMany")
				}
			},
		},
		{
			name: "Mark/ClearLetsItStand", needs: []need{clearer},
			rule: "Clear is as Remove of each key: a mark stands with another epoch, and its writer stores nothing.",
			run: func(e *env) {
				m := e.mark("k")
				e.must("Clear", as[cache.Clearer](e).Clear(e.ctx))
				if e.epoch("k") == m.Epoch {
					e.errorf("the mark has the epoch of before the Clear")
				}
				e.wantErr("Set", e.setMarked("k", "v", m), cache.ErrWriteOverlapped)
				e.wantMiss("k")
			},
		},
		{
			name: "Mark/TooManyWriters",
			rule: "More than MaxWriters at once are ErrTooManyWriters, and change nothing; when one has ended there is room.",
			run: func(e *env) {
				marks := make([]cache.WriteMark, cache.MaxWriters)
				for i := range marks {
					marks[i] = e.mark("k")
				}
				epoch := e.epoch("k")
				m, err := as[cache.WriteMarker](e).BeginWrite(e.ctx, "k", e.units(100))
				e.wantErr("one more BeginWrite", err, cache.ErrTooManyWriters)
				if m != (cache.WriteMark{}) {
					e.errorf("a refused BeginWrite returned a mark")
				}
				e.wantEpoch("k", epoch)
				e.must("EndWrite", e.end("k", marks[7]))
				marks[7] = e.mark("k")
				for _, m := range marks {
					e.epoch("k")
					e.must("EndWrite", e.end("k", m))
				}
				e.lease("k")
			},
		},
	})
}
