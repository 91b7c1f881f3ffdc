package stress_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/swarmtest"
)

// change is a version of a row, once it has been committed.
type change struct {
	row     *row
	version int64
}

// write writes one key after the other until ctx ends.
func (w *worker) write(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		k := pick(rng)
		switch {
		case isQuiet(k):
			continue // another writer's
		case isRegional(k) && rng.IntN(8) > 0:
			w.writeAndExpire(ctx, rng, k)
		case !isRegional(k) && rng.IntN(2) == 0:
			w.writeMarked(ctx, rng, k, delay(rng))
		default:
			w.writeAndRemove(ctx, rng, k)
		}
		_ = swarmtest.Pause(ctx, upTo(rng, 20*time.Millisecond))
	}
}

// writeQuietly writes keys that are rarely written, under a mark, and takes its
// time: if it is killed nobody comes soon who would repair it by chance.
func (w *worker) writeQuietly(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		w.writeMarked(ctx, rng, plainKeys+rng.IntN(quietKeys), upTo(rng, 300*time.Millisecond))
		_ = swarmtest.Pause(ctx, upTo(rng, 100*time.Millisecond))
	}
}

// commit makes a new version of a row.
func (w *worker) commit(k int) change {
	r := &w.Board.rows[k]
	c := change{r, r.version.Add(1)}
	r.note(w.Number, opWrote, c.version)
	return c
}

func (w *worker) writeAndRemove(ctx context.Context, rng *rand.Rand, k int) {
	w.Board.add(writes, 1)
	w.Board.add(removals, 1)
	made := w.commit(k)
	_ = swarmtest.Pause(ctx, delay(rng)) // the room for a crash, and for loads of the new version
	call, cancel := hurried(ctx, rng, 200*time.Microsecond)
	defer cancel()
	w.told(call, opRemoved, w.subject.remove(call, k), made)
}

// writeMarked marks a key, writes its row, and ends the write after a while.
func (w *worker) writeMarked(ctx context.Context, rng *rand.Rand, k int, while time.Duration) {
	r := &w.Board.rows[k]
	began := time.Now()
	end, err := w.subject.mark(ctx, k)
	gone := time.Now().Add(markTTL + markTTL/4) // the mark is, by then
	switch {
	case err != nil && ctx.Err() != nil:
		return
	case err != nil:
		w.Fail("mark: %v", err)
		return
	}
	r.note(w.Number, opMarked, r.version.Load())
	_ = swarmtest.Pause(ctx, delay(rng)) // for loads of the old version
	if time.Since(began) > commitWithin {
		return // too late to commit; the mark runs out
	}
	w.Board.add(writes, 1)
	w.Board.add(marked, 1)
	made := w.commit(k)
	r.fallsDue(made.version, gone)
	_ = swarmtest.Pause(ctx, while) // the room for a crash, and for loads of the new version
	call, cancel := hurried(ctx, rng, 200*time.Microsecond)
	defer cancel()
	overlaps, err := end(call, item{k, made.version})
	if overlaps {
		w.Board.add(overlapped, 1)
	}
	w.told(call, opRemoved, err, made)
}

// writeAndExpire writes a row, and maybe others whose entries depend on the same
// tokens, and expires the tokens: for all that was committed by then to any row
// whose entry depends on them, whoever did it.
func (w *worker) writeAndExpire(ctx context.Context, rng *rand.Rand, k int) {
	tokens, kind := pickTokens(rng, k)
	members := membersOf(tokens)
	w.Board.add(writes, 1)
	w.Board.add(expiries, 1)
	w.Board.add(kind, 1)
	w.commit(k)
	for range rng.IntN(3) {
		w.commit(members[rng.IntN(len(members))])
	}
	_ = swarmtest.Pause(ctx, delay(rng)) // the room for a crash, and for loads of the new version
	made := make([]change, len(members))
	for i, m := range members {
		r := &w.Board.rows[m]
		made[i] = change{r, r.version.Load()}
	}
	call, cancel := hurried(ctx, rng, 200*time.Microsecond)
	defer cancel()
	w.told(call, opExpired, w.subject.expire(call, tokens...), made...)
}

// told notes what came of telling the cache of changes: how is what it did if
// there is no error.
func (w *worker) told(call context.Context, how opKind, err error, made ...change) {
	switch {
	case err == nil:
		w.Board.add(told, 1)
	case call.Err() != nil, errors.Is(err, cache.ErrOutcomeUnknown), errors.Is(err, cache.ErrUnavailable):
		w.Board.add(unknown, 1)
		how = opUnknown
	default:
		w.Fail("tell the cache: %v", err)
		return
	}
	for _, m := range made {
		m.row.note(w.Number, how, m.version)
		if err == nil {
			m.row.raise(m.version)
		}
	}
}
