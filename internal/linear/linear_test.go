package linear

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// verdict checks a history. Its size keeps the search far below the limit.
func verdict(tb testing.TB, history []porcupine.Operation) porcupine.CheckResult {
	tb.Helper()
	result := porcupine.CheckOperationsTimeout(model(), history, time.Minute)
	if result == porcupine.Unknown {
		tb.Error("the checker gave up")
	}
	return result
}

// check fails the test if the history has no order, and shows its end.
func check(tb testing.TB, seed uint64, history []porcupine.Operation) {
	tb.Helper()
	for _, part := range byKey(history) {
		if verdict(tb, part) != porcupine.Illegal {
			continue
		}
		tb.Errorf("seed %d: the calls of a key have no order that explains their answers. The first of which that is true ends so:", seed)
		least := shortest(tb, part)
		for _, o := range least[max(0, len(least)-25):] {
			in, out := o.Input.(input), o.Output.(output)
			tb.Logf("%4d-%4d client %d %v %q version %x handle %x: %d %v %v %q version %x handle %x locked %v", o.Call, o.Return, o.ClientId,
				in.op, in.value, in.version[14:], in.handle[:4], out.outcome, out.err, out.yes, out.value, out.version[14:], out.handle[:4], out.locked)
		}
		return
	}
}

// shortest returns the shortest part of an illegal history, up to some call's
// return, that is illegal: calls that go on then have an unknown outcome.
func shortest(tb testing.TB, history []porcupine.Operation) []porcupine.Operation {
	tb.Helper()
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	for _, last := range history {
		var part []porcupine.Operation
		for _, o := range history {
			if o.Return > last.Return {
				out := o.Output.(output)
				out.outcome = unknown
				o.Output, o.Return = out, never
			}
			if o.Call < last.Return {
				part = append(part, o)
			}
		}
		if verdict(tb, part) == porcupine.Illegal {
			slices.SortFunc(part, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
			return part
		}
	}
	return history
}

// tally says that a run was not about nothing.
func tally(tb testing.TB, history []porcupine.Operation, wantUnknown bool) {
	tb.Helper()
	var answered, unknowns int
	successes := make(map[op]int)
	for _, o := range history {
		out := o.Output.(output)
		switch out.outcome {
		case done:
			successes[o.Input.(input).op]++
			answered++
		case refused:
			answered++
		case unknown:
			unknowns++
		case undone:
		}
	}
	if answered < len(history)/2 {
		tb.Errorf("only %d of %d calls were answered", answered, len(history))
	}
	if wantUnknown != (unknowns > 0) {
		tb.Errorf("%d calls have an unknown outcome", unknowns)
	}
	for o := range op(ops) {
		if successes[o] == 0 {
			tb.Errorf("%v never succeeded", o)
		}
	}
}

func newMemory(tb testing.TB) subject {
	tb.Helper()
	c, err := memory.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return subjectOf(tb, c)
}

func newDistributed(tb testing.TB, client redis.UniversalClient) subject {
	tb.Helper()
	c, err := distributed.New(client, &distributed.Options{Budget: 10 * time.Second, BreakerFailures: -1})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return subjectOf(tb, c)
}

// rounds is how many histories a test makes.
func rounds(n int) int {
	if testing.Short() {
		return max(1, n/10)
	}
	return n
}

func TestMemory(t *testing.T) {
	var all []porcupine.Operation
	for seed := range uint64(rounds(100)) {
		s := newMemory(t)
		r := recording{clients: 6, calls: 100, keys: 3, seed: seed}
		history := r.run(t.Context(), func(int) subject { return s })
		check(t, seed, history)
		all = append(all, history...)
	}
	tally(t, all, false)
}

// Each client is a process of its own: two caches on one server.
func TestMiniredis(t *testing.T) {
	var all []porcupine.Operation
	for seed := range uint64(rounds(20)) {
		synctest.Test(t, func(t *testing.T) {
			m := redistest.Mini(t)
			caches := []subject{newDistributed(t, redistest.MiniClient(t, m)), newDistributed(t, redistest.MiniClient(t, m))}
			r := recording{clients: 6, calls: 60, keys: 3, seed: seed}
			history := r.run(t.Context(), func(id int) subject { return caches[id%len(caches)] })
			check(t, seed, history)
			all = append(all, history...)
		})
	}
	tally(t, all, false)
}

func TestServer(t *testing.T) {
	server := redistest.Server(t)
	caches := []subject{newDistributed(t, server.Client()), newDistributed(t, server.Client())}
	var all []porcupine.Operation
	for seed := range uint64(rounds(20)) {
		server.Client().FlushAll(t.Context())
		r := recording{clients: 6, calls: 100, keys: 3, seed: seed}
		history := r.run(t.Context(), func(id int) subject { return caches[id%len(caches)] })
		check(t, seed, history)
		all = append(all, history...)
	}
	tally(t, all, false)
}

// Replies are lost on their way: the server has done what it was asked, and the
// connection breaks.
func TestLostReplies(t *testing.T) {
	var all []porcupine.Operation
	for seed := range uint64(rounds(40)) {
		synctest.Test(t, func(t *testing.T) {
			m := redistest.Mini(t)
			caches := []subject{newDistributed(t, lossy(t, m, seed)), newDistributed(t, lossy(t, m, seed+1000))}
			r := recording{clients: 4, calls: 40, keys: 3, seed: seed}
			history := r.run(t.Context(), func(id int) subject { return caches[id%len(caches)] })
			check(t, seed, history)
			all = append(all, history...)
		})
	}
	tally(t, all, true)
}

// Faults that the check must find, or it is blind.
func TestFaultsAreFound(t *testing.T) {
	for name, plant := range map[string]func(subject) subject{
		"compares and sets in two steps":     func(s subject) subject { s.Versioner = twoSteps{s.Versioner, s}; return s },
		"removes whatever the version":       func(s subject) subject { s.Versioner = anyVersion{s.Versioner, s}; return s },
		"answers reads from before":          func(s subject) subject { return stale(s) },
		"says that nothing was done but did": func(s subject) subject { s.Cache = denies{s.Cache}; return s },
		"unlocks for anybody":                func(s subject) subject { s.Locker = anyHandle{s.Locker, s}; return s },
		"adds over what there is":            func(s subject) subject { s.Versioner = overwrites{s.Versioner, s}; return s },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(500) {
				s := plant(newMemory(t))
				r := recording{clients: 6, calls: 100, keys: 2, seed: seed}
				if verdict(t, r.run(t.Context(), func(int) subject { return s })) == porcupine.Illegal {
					return
				}
			}
			t.Error("nothing was found in 500 histories")
		})
	}
}

// twoSteps lets another call come between its comparison and its write.
type twoSteps struct {
	cache.Versioner
	s subject
}

func (f twoSteps) CompareAndSet(ctx context.Context, key string, value []byte, have cache.Version, opts cache.EntryOptions) (cache.Version, error) {
	item, found, err := f.GetItem(ctx, key)
	switch {
	case err != nil:
		return cache.Version{}, err
	case !found:
		return cache.Version{}, cache.ErrNoEntry
	case item.Version != have:
		return cache.Version{}, &cache.VersionMismatchError{Current: item.Version}
	}
	runtime.Gosched()
	return f.Versioner.CompareAndSet(ctx, key, value, f.current(ctx, key, have), opts)
}

func (f twoSteps) current(ctx context.Context, key string, have cache.Version) cache.Version {
	if item, found, _ := f.GetItem(ctx, key); found {
		return item.Version
	}
	return have
}

type anyVersion struct {
	cache.Versioner
	s subject
}

func (f anyVersion) RemoveVersion(ctx context.Context, key string, _ cache.Version) (bool, error) {
	_, found, err := f.s.Get(ctx, key)
	if err == nil {
		err = f.s.Remove(ctx, key)
	}
	return found, err
}

// before answers each read with what the last one found.
type before struct {
	cache.Cache
	last chan map[string]cache.Result
}

func stale(s subject) subject {
	b := before{s.Cache, make(chan map[string]cache.Result, 1)}
	b.last <- make(map[string]cache.Result)
	s.Cache = b
	return s
}

func (f before) Get(ctx context.Context, key string) ([]byte, bool, error) {
	value, found, err := f.Cache.Get(ctx, key)
	last := <-f.last
	defer func() { f.last <- last }()
	old, ok := last[key]
	last[key] = cache.Result{Value: value, Found: found, Err: err}
	if ok {
		return old.Value, old.Found, old.Err
	}
	return value, found, err
}

// denies says of a few writes that they were not done.
type denies struct{ cache.Cache }

func (f denies) Set(ctx context.Context, key string, value []byte, opts cache.EntryOptions) error {
	if err := f.Cache.Set(ctx, key, value, opts); err != nil || value[len(value)-1] != '7' {
		return err
	}
	return cache.ErrUnavailable
}

type anyHandle struct {
	cache.Locker
	s subject
}

func (f anyHandle) Unlock(ctx context.Context, key string, handle cache.LockHandle, ttl time.Duration) error {
	err := f.Locker.Unlock(ctx, key, handle, ttl)
	if err == nil {
		return nil
	}
	value, found, getErr := f.s.Get(ctx, key)
	if !found || getErr != nil {
		return err
	}
	return f.s.Set(ctx, key, value, cache.EntryOptions{}) // drops the lock
}

type overwrites struct {
	cache.Versioner
	s subject
}

func (f overwrites) Add(ctx context.Context, key string, value []byte, opts cache.EntryOptions) (cache.Version, error) {
	if err := f.s.Remove(ctx, key); err != nil {
		return cache.Version{}, err
	}
	return f.Versioner.Add(ctx, key, value, opts)
}
