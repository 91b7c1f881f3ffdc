package patterns_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue"
)

// explosive is a codec that panics when it decodes what begins with a bang.
type explosive struct{ cache.Codec[string] }

func (c explosive) Decode(data []byte) (string, error) {
	v, err := c.Codec.Decode(data)
	if len(v) > 0 && v[0] == '!' {
		panic("cannot be decoded")
	}
	return v, err
}

func TestBehindPanicsOfTheCodecMakeDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{Values: explosive{cache.Msgpack[string]()}}, nil, nil)
		b.save(1, "!")
		b.save(2, "two")
		b.flush()
		b.source.has(t, map[int]string{2: "two"})
		if dead := b.letters(); len(dead) != 1 || !errors.Is(dead[0].Err, cache.ErrUndecodable) || len(dead[0].Payload) == 0 {
			t.Errorf("got %d dead letters, %+v; want the one that cannot be decoded", len(dead), dead)
		}
	})
}

// scripted is a queue whose Enqueue ends as told, each time as the next.
type scripted struct {
	*queue.Memory
	answers []func(ctx context.Context, w queue.Write) (uint64, error)
}

func (q *scripted) Enqueue(ctx context.Context, w queue.Write) (uint64, error) {
	if len(q.answers) == 0 {
		return q.Memory.Enqueue(ctx, w)
	}
	answer := q.answers[0]
	q.answers = q.answers[1:]
	return answer(ctx, w)
}

// Who is told that the queue was full may write elsewhere: it must be true.
func TestBehindFullIsNotSaidOfAWriteThatMayBeQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		q := &scripted{Memory: newMemoryQueue(t)}
		q.answers = []func(context.Context, queue.Write) (uint64, error){
			func(context.Context, queue.Write) (uint64, error) { return 0, queue.ErrFull },
			func(ctx context.Context, w queue.Write) (uint64, error) {
				_, err := q.Memory.Enqueue(ctx, w)
				cancel()
				return 0, errors.Join(cache.ErrOutcomeUnknown, err, ctx.Err())
			},
		}
		w, err := patterns.NewWriteBehind(t.Context(), nil, newShelf(), q, shelfEntity, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.Close(t.Context()) }()
		if err := w.Save(ctx, 1, "one"); !errors.Is(err, cache.ErrOutcomeUnknown) || errors.Is(err, queue.ErrFull) {
			t.Errorf("Save: got %v, want ErrOutcomeUnknown and not ErrFull", err)
		}
	})
}

// committing is a source whose transactions call meanwhile before they commit.
type committing struct {
	*shelf
	meanwhile func()
}

func (c *committing) Transact(ctx context.Context, do func(context.Context) error) error {
	if err := do(ctx); err != nil {
		return err
	}
	c.meanwhile()
	return nil
}

// What was committed must reach the queue, whatever its caller, or Close, does
// meanwhile.
func TestBehindWritesFollowTheirCommit(t *testing.T) {
	for _, closing := range []bool{false, true} {
		t.Run(fmt.Sprint("closing ", closing), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBehindBench(t, behindOptions{Interval: time.Hour}, nil, nil)
				ctx, cancel := context.WithCancel(b.ctx)
				defer cancel()
				closed := make(chan error, 1)
				outer, err := patterns.NewHooked[int, string](&committing{newShelf(), func() {
					if !closing {
						cancel()
						return
					}
					go func() { closed <- b.Close(b.ctx) }()
					synctest.Wait()
				}}, patterns.Hooks[int, string]{})
				if err != nil {
					t.Fatal(err)
				}
				if err := outer.Transact(ctx, func(ctx context.Context) error { return b.Save(ctx, 1, "one") }); err != nil {
					t.Errorf("Transact: got %v, want no error", err)
				}
				b.finds(1, "one")
				if closing {
					if err := <-closed; err != nil {
						t.Errorf("Close: got %v, want no error", err)
					}
				} else {
					b.flush()
				}
				b.source.has(t, map[int]string{1: "one"})
			})
		})
	}
}

// watched is a queue that runs after when a Settle is through.
type watched struct {
	*queue.Memory
	after func()
}

func (q *watched) Settle(ctx context.Context, outcomes []queue.Outcome) ([]queue.Settled, error) {
	settled, err := q.Memory.Settle(ctx, outcomes)
	q.after()
	return settled, err
}

// A sum that a load has counted an increment twice in must be gone when the queue
// knows that the source has it: nobody looks there again.
func TestBehindSumsAreRepairedBeforeTheQueueIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := newBehindBench(t, behindOptions{}, nil, nil) // for its cache
		source := &halting{shelf: newShelf(), seen: make(chan struct{}), goOn: make(chan struct{})}
		source.add = true
		q := &watched{Memory: newMemoryQueue(t)}
		w, err := patterns.NewWriteBehind(t.Context(), base.cache, source, q, shelfEntity, &behindOptions{Interval: time.Hour, Merge: appended})
		if err != nil {
			t.Fatal(err)
		}
		b := &behindBench{T: t, WriteBehind: w, ctx: t.Context(), source: source.shelf}
		b.save(1, "a")
		after := make(chan string, 1)
		q.after = func() {
			v, _ := w.Find(t.Context(), 1)
			after <- v
		}
		found := make(chan struct{})
		go func() {
			defer close(found)
			_, _ = w.Find(t.Context(), 1)
		}()
		<-source.seen // the load has seen the increment in the queue
		source.saved = func() {
			close(source.goOn)
			synctest.Wait() // the load is through
		}
		b.flush()
		<-found
		if v := <-after; v != "a" {
			t.Errorf("Find once the queue was told: got %q, want the increment once", v)
		}
		if err := w.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// halting is a shelf whose first Find waits, and that calls saved after a Save.
type halting struct {
	*shelf
	seen, goOn chan struct{}
	halted     bool
	saved      func()
}

func (h *halting) Find(ctx context.Context, id int) (string, error) {
	if !h.halted {
		h.halted = true
		close(h.seen)
		<-h.goOn
	}
	return h.shelf.Find(ctx, id)
}

func (h *halting) Save(ctx context.Context, id int, v string) error {
	err := h.shelf.Save(ctx, id, v)
	h.saved()
	return err
}

// applying is a shelf that takes changes with their sequences.
type applying struct {
	*shelf
	last map[int]uint64
}

func (a *applying) Apply(ctx context.Context, changes []patterns.Change[int, string]) []error {
	errs := make([]error, len(changes))
	for i, c := range changes {
		switch {
		case c.Sequence <= a.last[c.ID]:
			errs[i] = patterns.ErrDuplicate
		case c.Deleted:
			errs[i] = a.Delete(ctx, c.ID)
		default:
			errs[i] = a.Save(ctx, c.ID, c.Value)
		}
		a.last[c.ID] = max(a.last[c.ID], c.Sequence)
	}
	return errs
}

// Hooks between a WriteBehind and its source must not take the sequences away.
func TestBehindAppliesThroughHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		hooks := patterns.Hooks[int, string]{
			OnSaved:   func(_ context.Context, id int, v string) { told = append(told, fmt.Sprint(id, v)) },
			OnDeleted: func(_ context.Context, id int) { told = append(told, fmt.Sprint(id, "-")) },
		}
		source := &applying{newShelf(), map[int]uint64{3: 1 << 62}}
		b := newBehindBench(t, behindOptions{Interval: time.Hour}, nil, func(s *shelf) patterns.Repository[int, string] {
			source.shelf = s
			inner, err := patterns.NewHooked[int, string](source, hooks)
			if err != nil {
				t.Fatal(err)
			}
			outer, err := patterns.NewHooked[int, string](inner, patterns.Hooks[int, string]{})
			if err != nil {
				t.Fatal(err)
			}
			return outer
		})
		b.save(1, "one")
		if err := b.Delete(b.ctx, 2); err != nil {
			t.Fatal(err)
		}
		b.save(3, "late")
		b.flush()
		if source.last[1] == 0 || source.last[2] == 0 {
			t.Error("the source was given no sequences")
		}
		if slices.Sort(told); !slices.Equal(told, []string{"1one", "2-"}) {
			t.Errorf("the hooks were told of %q, want what the source took", told)
		}
		if st := b.stats(); st.Duplicates != 1 {
			t.Errorf("Stats: got %d duplicates, want 1", st.Duplicates)
		}
	})
}

func TestHookedOverNoApplierAppliesNothing(t *testing.T) {
	h, err := patterns.NewHooked[int, string](newShelf(), patterns.Hooks[int, string]{})
	if err != nil {
		t.Fatal(err)
	}
	errs := h.Apply(t.Context(), make([]patterns.Change[int, string], 2))
	if len(errs) != 2 || !errors.Is(errs[0], errors.ErrUnsupported) || !errors.Is(errs[1], errors.ErrUnsupported) {
		t.Errorf("Apply: got %v, want ErrUnsupported of each", errs)
	}
}

// Only the WriteBehind knows which of its sums count an increment twice.
func TestBehindThatAddsIsNotCachedByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{}, nil, nil) // for its cache
		w, err := patterns.NewWriteBehind(t.Context(), nil, newShelf(), newMemoryQueue(t), shelfEntity, &behindOptions{Merge: appended})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.Close(t.Context()) }()
		if _, err := patterns.NewCacheAside(b.cache, w, shelfEntity); !errors.Is(err, patterns.ErrComposition) {
			t.Errorf("NewCacheAside: got %v, want ErrComposition", err)
		}
	})
}

// A write that nobody has answered may reach the queue later: what was loaded in
// between must not stay.
func TestBehindWritesOfUnknownOutcomeLeaveNothingStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := newBehindBench(t, behindOptions{}, nil, nil) // for its cache
		q := &scripted{Memory: newMemoryQueue(t)}
		source := newShelf()
		source.rows[1] = "old"
		w, err := patterns.NewWriteBehind(t.Context(), base.cache, source, q, shelfEntity, &behindOptions{Interval: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.Close(t.Context()) }()
		b := &behindBench{T: t, WriteBehind: w, ctx: t.Context(), source: source}
		b.finds(1, "old")
		for _, deleted := range []bool{false, true} {
			var late queue.Write
			q.answers = append(q.answers, func(_ context.Context, w queue.Write) (uint64, error) {
				late = w
				return 0, cache.ErrOutcomeUnknown
			})
			before, want := "old", "new"
			save := func() error { return w.Save(t.Context(), 1, "new") }
			if deleted {
				before, want = "new", ""
				save = func() error { return w.Delete(t.Context(), 1) }
			}
			if err := save(); !errors.Is(err, cache.ErrOutcomeUnknown) {
				t.Errorf("got %v, want ErrOutcomeUnknown", err)
			}
			b.finds(1, before)
			if _, err := q.Enqueue(t.Context(), late); err != nil {
				t.Fatal(err)
			}
			b.finds(1, want)
		}
	})
}
