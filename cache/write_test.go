package cache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	"github.com/larder-go/larder/memory"
)

var errSource = errors.New("the source said no")

// leaseState is the state of a key; a lease that it took is given back.
func leaseState(t *testing.T, c cache.Cache, key string) cache.LeaseState {
	t.Helper()
	l, _ := cache.As[cache.Leaser](c)
	reply, err := l.Lease(t.Context(), key, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if reply.State == cache.LeaseGranted {
		if err := l.Release(t.Context(), key, reply.Lease); err != nil {
			t.Fatal(err)
		}
	}
	return reply.State
}

func wantState(t *testing.T, c cache.Cache, key string, want cache.LeaseState) {
	t.Helper()
	if got := leaseState(t, c, key); got != want {
		t.Errorf("got a key in lease state %d, want %d", got, want)
	}
}

func setBytes(t *testing.T, c cache.Cache, key, value string) {
	t.Helper()
	if err := c.Set(t.Context(), key, []byte(value), cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
}

func wantGone(t *testing.T, c cache.Cache, key string) {
	t.Helper()
	if value, found, err := c.Get(t.Context(), key); found || err != nil {
		t.Errorf("got %q, %v, %v, want a miss", value, found, err)
	}
}

// faulty returns a cache with the faults, and the one below.
func faulty(faults ...cachetest.Fault) (*cachetest.Faults, cache.Cache, *cachetest.Model) {
	m := cachetest.NewModel(cache.EntryOptions{})
	f, c := cachetest.NewFaults(m, 1, faults...)
	return f, c, m
}

func TestWriteMarksTheKeyMeanwhile(t *testing.T) {
	for name, c := range map[string]cache.Cache{"memory": openMemory(t), "redis": openRedis(t)} {
		t.Run(name, func(t *testing.T) {
			setBytes(t, c, "k", "old")
			setBytes(t, c, "other", "old")
			err := cache.WriteWith(t.Context(), c, []string{"k", "k2", "k"}, cache.WriteOptions{}, func(context.Context) error {
				wantState(t, c, "k", cache.LeaseMarked)
				wantState(t, c, "k2", cache.LeaseMarked)
				wantState(t, c, "other", cache.LeaseFound)
				return nil
			})
			if err != nil {
				t.Errorf("WriteWith: %v", err)
			}
			wantState(t, c, "k", cache.LeaseGranted)
			wantState(t, c, "k2", cache.LeaseGranted)
		})
	}
}

func TestWriteWithoutMarksRemovesAfterwards(t *testing.T) {
	c := newFour()
	setBytes(t, c, "k", "old")
	for _, want := range []error{nil, errSource} { // a failed write may have changed the source
		err := cache.Write(t.Context(), c, "k", func(ctx context.Context) error {
			setBytes(t, c, "k", "loaded during the write")
			return want
		})
		if err != want {
			t.Errorf("got %v, want %v as it is", err, want)
		}
		wantGone(t, c, "k")
	}
}

func TestWriteEndsWhateverBecomesOfIt(t *testing.T) {
	for name, write := range map[string]func(context.Context, context.CancelFunc) error{
		"an error":     func(context.Context, context.CancelFunc) error { return errSource },
		"a panic":      func(context.Context, context.CancelFunc) error { panic("boom") },
		"cancellation": func(_ context.Context, cancel context.CancelFunc) error { cancel(); return errSource },
	} {
		t.Run(name, func(t *testing.T) {
			c := openMemory(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			func() {
				defer func() {
					if p := recover(); (p == "boom") != (name == "a panic") {
						t.Errorf("recovered %v", p)
					}
				}()
				if err := cache.Write(ctx, c, "k", func(ctx context.Context) error { return write(ctx, cancel) }); err != errSource {
					t.Errorf("got %v, want write's own error as it is", err)
				}
			}()
			wantState(t, c, "k", cache.LeaseGranted)
		})
	}
}

func TestWriteIsOverBeforeItsMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cachetest.NewModel(cache.EntryOptions{})
		began := time.Now()
		left := func(parent context.Context, opts cache.WriteOptions) (d time.Duration) {
			err := cache.WriteWith(parent, c, []string{"k"}, opts, func(ctx context.Context) error {
				until, _ := ctx.Deadline()
				d = until.Sub(began)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			return d
		}
		if got := left(t.Context(), cache.WriteOptions{}); got != 25*time.Second {
			t.Errorf("got %v for a mark of 30s, want 25s", got)
		}
		if got := left(t.Context(), cache.WriteOptions{MarkTTL: 6 * time.Second}); got != 5*time.Second {
			t.Errorf("got %v for a mark of 6s, want 5s", got)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := left(short, cache.WriteOptions{}); got != time.Second {
			t.Errorf("got %v with a second left, want that second", got)
		}
	})
}

// A mark that took long to set leaves less time for the write.
func TestSlowMarkLeavesLessTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, _ := faulty(cachetest.Fault{Kind: cachetest.DelayBefore, Delay: 20 * time.Second, Ops: []string{"begin_write"}})
		err := cache.Write(t.Context(), c, "k", func(ctx context.Context) error {
			until, _ := ctx.Deadline()
			if left := time.Until(until); left != 5*time.Second {
				t.Errorf("%v are left, want 5s", left)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		_, c, _ = faulty(cachetest.Fault{Kind: cachetest.DelayBefore, Delay: 26 * time.Second, Ops: []string{"begin_write"}})
		err = cache.WriteWith(t.Context(), c, []string{"k", "l"}, cache.WriteOptions{}, func(context.Context) error {
			t.Error("write ran though the marks may be over before it is")
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
	})
}

func TestWriteGoesAheadWithoutAMark(t *testing.T) {
	for name, tc := range map[string]struct {
		faults   []cachetest.Fault
		degraded bool
	}{
		"unavailable":      {[]cachetest.Fault{{Kind: cachetest.FailBefore, Ops: []string{"begin_write"}}}, false},
		"too many writers": {[]cachetest.Fault{{Kind: cachetest.FailBefore, Ops: []string{"begin_write"}, Err: cache.ErrTooManyWriters}}, false},
		"outcome unknown":  {[]cachetest.Fault{{Kind: cachetest.FailAfter, Ops: []string{"begin_write"}}}, false},
		"for good":         {[]cachetest.Fault{{Kind: cachetest.FailBefore}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			f, c, m := faulty(tc.faults...)
			setBytes(t, m, "k", "old")
			ran := 0
			err := cache.Write(t.Context(), c, "k", func(context.Context) error { ran++; return nil })
			if ran != 1 {
				t.Errorf("write ran %d times, want once", ran)
			}
			if !tc.degraded {
				if err != nil {
					t.Errorf("got %v, want none", err)
				}
				wantState(t, m, "k", cache.LeaseGranted)
				return
			}
			if !errors.Is(err, cache.ErrCommittedCacheDegraded) || !errors.Is(err, cache.ErrUnavailable) {
				t.Errorf("got %v, want a CommittedError of ErrUnavailable", err)
			}
			if n := f.Calls("remove"); n != 2 {
				t.Errorf("%d attempts to end the write, want 2", n)
			}
		})
	}
}

func TestWriteThatCannotBeEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, m := faulty(cachetest.Fault{Kind: cachetest.FailBefore, Ops: []string{"end_write", "set_object"}})
		setBytes(t, m, "k", "old")
		var committed *cache.CommittedError
		if err := cache.Write(t.Context(), c, "k", func(context.Context) error { return nil }); !errors.As(err, &committed) {
			t.Errorf("got %v, want a CommittedError", err)
		}
		if err := cache.Write(t.Context(), c, "k", func(context.Context) error { return errSource }); err != errSource {
			t.Errorf("got %v, want write's own error", err)
		}
		got, err := cache.NewTyped[string](c, nil).Write(t.Context(), "k", cache.EntryOptions{}, func(context.Context) (string, error) { return "new", nil })
		if got != "new" || !errors.Is(err, cache.ErrCommittedCacheDegraded) {
			t.Errorf("got %q, %v, want the value and a CommittedError", got, err)
		}
		wantGone(t, m, "k")
		time.Sleep(cache.DefaultMarkTTL) // as if the process had died
		wantState(t, m, "k", cache.LeaseGranted)
	})
}

func TestWriteThatIsRefusedDoesNotRun(t *testing.T) {
	c := openMemory(t)
	view := typed[string](t, c, nil)
	never := func(context.Context) error { t.Error("write ran"); return nil }
	neverTyped := func(context.Context) (string, error) { return "", never(nil) }
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		err  error
		want error
	}{
		"no write":        {cache.Write(t.Context(), c, "k", nil), cache.ErrInvalidConfig},
		"no cache":        {cache.Write(t.Context(), nil, "k", never), cache.ErrInvalidConfig},
		"no context":      {cache.Write(nil, c, "k", never), cache.ErrNilContext}, //nolint:staticcheck // that is the case
		"cancelled":       {cache.Write(cancelled, c, "k", never), context.Canceled},
		"a bad key":       {cache.WriteWith(t.Context(), c, []string{"k", ""}, cache.WriteOptions{}, never), cache.ErrInvalidKey},
		"a bad option":    {cache.WriteWith(t.Context(), c, []string{"k"}, cache.WriteOptions{MarkTTL: -1}, never), cache.ErrInvalidConfig},
		"a bad lifetime":  {second(view.Write(t.Context(), "k", cache.EntryOptions{TTL: -1}, neverTyped)), cache.ErrInvalidTTL},
		"no typed write":  {second(view.Write(t.Context(), "k", cache.EntryOptions{}, nil)), cache.ErrInvalidConfig},
		"cancelled typed": {second(view.Write(cancelled, "k", cache.EntryOptions{}, neverTyped)), context.Canceled},
	} {
		if !errors.Is(tc.err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, tc.err, tc.want)
		}
	}
	wantState(t, c, "k", cache.LeaseGranted)
}

func second[T any](_ T, err error) error { return err }

func TestTypedWriteStoresInTheSameStep(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		view := typed[string](t, c, nil)
		got, err := view.Write(t.Context(), "k", cache.EntryOptions{TTL: time.Hour}, func(context.Context) (string, error) { return "new", nil })
		if got != "new" || err != nil {
			t.Fatalf("got %q, %v, want what was written", got, err)
		}
		_, marks := cache.As[cache.WriteMarker](c)
		if got, found, err := view.Get(t.Context(), "k"); found != marks || found && got != "new" || err != nil {
			t.Errorf("Get afterwards: got %q, %v, %v, want it stored: %v", got, found, err, marks)
		}
		got, err = view.Write(t.Context(), "k", cache.EntryOptions{}, func(context.Context) (string, error) { return "half", errSource })
		if got != "" || err != errSource {
			t.Errorf("a write that failed: got %q, %v", got, err)
		}
		if got, found, err := view.Get(t.Context(), "k"); found || err != nil {
			t.Errorf("Get after a write that failed: got %q, %v, %v, want a miss", got, found, err)
		}
	})
}

// What is not stored must not be there either, and the write has worked.
func TestTypedWriteThatStoresNothing(t *testing.T) {
	c := openMemory(t)
	view := typed[string](t, c, nil)
	for name, write := range map[string]func() string{
		"overlapped": func() string {
			if err := c.Remove(t.Context(), "k"); err != nil {
				t.Error(err)
			}
			return "new"
		},
		"caching is off": func() string {
			co, _ := c.Coordinate("k")
			co.SetEnabled(false)
			return "new"
		},
	} {
		got, err := view.Write(t.Context(), "k", cache.EntryOptions{}, func(context.Context) (string, error) { return write(), nil })
		if got != "new" || err != nil {
			t.Errorf("%s: got %q, %v, want the value", name, got, err)
		}
		co, _ := c.Coordinate("k")
		co.SetEnabled(true)
		wantState(t, c, "k", cache.LeaseGranted)
	}

	bytes := typed(t, openRedis(t), &cache.TypedOptions[string]{Codec: refusing{}})
	if _, err := bytes.Write(t.Context(), "k", cache.EntryOptions{}, func(context.Context) (string, error) { return "new", nil }); err != nil {
		t.Errorf("a value that cannot be encoded: got %v, want none, for the source was written", err)
	}
	if n := bytes.Cache().(cache.StatsReporter).Stats().FillsRefused; n != 1 {
		t.Errorf("%d fills refused, want 1", n)
	}
	wantState(t, bytes.Cache(), "k", cache.LeaseGranted)
}

// refusing is a codec that encodes nothing.
type refusing struct{}

func (refusing) ID() string                            { return "refusing" }
func (refusing) Append([]byte, string) ([]byte, error) { return nil, cache.ErrUnencodable }
func (refusing) Decode([]byte) (string, error)         { return "", cache.ErrUndecodable }

func TestFillUnderAMarkIsReported(t *testing.T) {
	var reasons []error
	c, err := memory.New(&memory.Options{Observer: cache.ObserverFunc(func(_ context.Context, e cache.Event) {
		if e.Kind == cache.EventFillRefused {
			reasons = append(reasons, e.Err)
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	defer closeCache(t, c)
	view := typed[string](t, c, nil)
	err = cache.Write(t.Context(), c, "k", func(ctx context.Context) error {
		return second(view.GetOrCreateExclusive(ctx, "k", load("v")))
	})
	if err != nil || len(reasons) != 1 || reasons[0] != cache.ErrBeingWritten || c.Stats().FillsRefused != 1 {
		t.Errorf("got %v, reasons %v, %d fills refused, want ErrBeingWritten once", err, reasons, c.Stats().FillsRefused)
	}
}

// Two processes, one mark: loads under it are shared as long as nothing changes.
func TestLoadsUnderAMarkAreSharedByItsEpoch(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(ctx context.Context, c cache.Cache, m cache.WriteMark) error
		joins  bool
	}{
		"nothing": {func(context.Context, cache.Cache, cache.WriteMark) error { return nil }, true},
		"EndWrite": {func(ctx context.Context, c cache.Cache, m cache.WriteMark) error {
			return c.(cache.WriteMarker).EndWrite(ctx, "k", m)
		}, false},
		"Remove": {func(ctx context.Context, c cache.Cache, _ cache.WriteMark) error { return c.Remove(ctx, "k") }, false},
		"another writer": {func(ctx context.Context, c cache.Cache, _ cache.WriteMark) error {
			return second(c.(cache.WriteMarker).BeginWrite(ctx, "k", time.Hour))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
				mark, err := there.Cache().(cache.WriteMarker).BeginWrite(t.Context(), "k", time.Hour)
				if err != nil {
					t.Fatal(err)
				}
				h := newHeld()
				early := start(t.Context(), here, h.load("early"))
				synctest.Wait()
				if err := tc.change(t.Context(), there.Cache(), mark); err != nil {
					t.Fatal(err)
				}
				late := start(t.Context(), here, load("late"))
				synctest.Wait()
				close(h.release)
				early.want(t, "early", nil)
				want := "late"
				if tc.joins {
					want = "early"
				}
				late.want(t, want, nil)
			})
		})
	}
}

// A strict write is not begun if a key may not be marked: what is unknown of the
// mark is not unknown of the write.
func TestStrictWriteNeedsItsMarks(t *testing.T) {
	for name, kind := range map[string]cachetest.FaultKind{"refused": cachetest.FailBefore, "reply lost": cachetest.FailAfter} {
		t.Run(name, func(t *testing.T) {
			err := cache.ErrUnavailable
			if kind == cachetest.FailAfter {
				err = cache.ErrOutcomeUnknown
			}
			_, c, _ := faulty(cachetest.Fault{Kind: kind, Err: err, Ops: []string{"begin_write"}})
			got := cache.WriteWith(t.Context(), c, []string{"k", "l"}, cache.WriteOptions{Strict: true}, func(context.Context) error {
				t.Error("the source was written")
				return nil
			})
			if !errors.Is(got, cache.ErrUnavailable) || errors.Is(got, cache.ErrOutcomeUnknown) {
				t.Errorf("got %v, want ErrUnavailable alone", got)
			}
		})
	}
	got := cache.WriteWith(t.Context(), newFour(), []string{"k"}, cache.WriteOptions{Strict: true}, func(context.Context) error { return nil })
	if !errors.Is(got, errors.ErrUnsupported) {
		t.Errorf("got %v on a cache without marks, want ErrUnsupported", got)
	}
}
