package near

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// Several near caches, each with a client of its own, read what a plain cache, a
// near cache and a foreign client write, while connections are cut and stall. Each
// key has a number that only grows: every change of the key, a removal and the
// expiration of its region included, takes the next one, and notes when it was
// acknowledged. A read that is given an older number than was acknowledged when it
// began is stale, by the time since the first such acknowledgement.

const (
	staleKeys  = 8
	staleReads = 2 // goroutines per near cache
	staleBound = 200 * time.Millisecond
)

// record is the history of one key.
type record struct {
	acked [1 << 16]atomic.Int64 // when each number was, since the trial began; 0: not yet
}

// staleness is how stale a read is that began then and was given that number.
func (r *record) staleness(n int, began time.Duration) time.Duration {
	if n+1 >= len(r.acked) {
		return 0
	}
	acked := time.Duration(r.acked[n+1].Load())
	if acked == 0 || acked >= began {
		return 0
	}
	return began - acked
}

// subject makes of a near cache what is tried: itself, or one of its naive twins.
type subject struct {
	name    string
	mode    Mode
	listen  func(signals) signals // nil: as they are
	read    func(*Cache) cache.Cache
	allowed time.Duration
	naive   bool
}

func subjects() []subject {
	return []subject{
		{name: "bounded", allowed: staleBound},
		{name: "validate", mode: Validate},
		{name: "twin that puts whatever it read", allowed: staleBound, naive: true,
			read: func(c *Cache) cache.Cache { return hasty{c} }},
		{name: "twin that goes on after a cut", allowed: staleBound, naive: true, listen: func(s signals) signals {
			s.Flushed, s.Lost = func() {}, func(error) {}
			return s
		}},
		{name: "twin that trusts silence", allowed: staleBound, naive: true,
			read: func(c *Cache) cache.Cache { return trusting{c} }, listen: func(s signals) signals {
				s.Flushed, s.Lost = func() {}, func(error) {}
				return s
			}},
	}
}

// hasty puts what it read, whatever has changed since.
type hasty struct{ *Cache }

func (h hasty) PutNear(key string, value any, its cache.NearTicket) {
	if t, ok := its.(*ticket); ok {
		now := *t
		now.seq = t.shard.now()
		its = &now
	}
	h.Cache.PutNear(key, value, its)
}

// trusting serves what it holds without asking for contact, and takes silence for
// the absence of changes.
type trusting struct{ *Cache }

func (h trusting) GetNear(ctx context.Context, key string) (any, bool) {
	value, ok, _ := h.local.GetObject(ctx, key)
	return value, ok
}

func TestStaleness(t *testing.T) {
	for _, s := range subjects() {
		t.Run(s.name, func(t *testing.T) {
			trial := newTrial(t, s)
			duration := 3 * time.Second
			if testing.Short() {
				duration = 1500 * time.Millisecond
			}
			worst, stale := trial.run(duration)
			for round := 1; s.naive && worst <= s.allowed && round < 8; round++ { // on a busy machine
				worst, stale = trial.run(duration)
			}
			t.Logf("%d reads, %d hits, %d of them stale, median %v, worst %v; %d changes; contact lost %d times",
				trial.reads.Load(), trial.hits(), len(stale), median(stale), worst, trial.changes.Load(), trial.losses())
			if trial.hits() < 1000 || trial.losses() == 0 && s.listen == nil || trial.changes.Load() < 50 {
				t.Error("too little happened to prove anything")
			}
			switch violated := worst > s.allowed; {
			case violated && !s.naive:
				t.Errorf("a read was %v stale, want at most %v", worst, s.allowed)
			case !violated && s.naive:
				t.Error("the twin was not caught")
			}
		})
	}
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// trial is one run of one subject.
type trial struct {
	t       *testing.T
	ctx     context.Context
	began   time.Time
	records [staleKeys]record
	numbers [staleKeys]int // the last of each; confined to its writer

	nears   []*Cache // the first writes, too, and has no faults
	views   []*cache.Typed[int]
	links   []*link // of the others
	plain   *cache.Typed[int]
	regions *distributed.Cache
	foreign *redis.Client

	reads, changes atomic.Uint64

	mu    sync.Mutex
	stale []time.Duration
}

func newTrial(t *testing.T, s subject) *trial {
	server := redistest.Server(t)
	tr := &trial{t: t, ctx: context.Background(), began: time.Now(), foreign: server.Client()}
	typed := &cache.TypedOptions[int]{Codec: slowCodec{}, Schema: "number"}
	for i := range 3 {
		link := &link{}
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), Dialer: link.dial, ContextTimeoutEnabled: true})
		t.Cleanup(func() { _ = client.Close() })
		opts := Options{Mode: s.mode, Bound: staleBound, Remote: distributed.Options{Prefix: prefix}}
		if i == 0 {
			opts.Remote.Budget = 5 * time.Second
		}
		c, err := build(client, &opts, func(client redis.UniversalClient, sig signals) listener {
			if s.listen != nil {
				sig = s.listen(sig)
			}
			return listen(client, &opts, sig)
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(tr.ctx) })
		tr.nears = append(tr.nears, c)
		var view cache.Cache = c
		if s.read != nil {
			view = s.read(c)
		}
		tr.views = append(tr.views, cache.NewTyped(view, typed))
		if i > 0 {
			tr.links = append(tr.links, link)
		}
	}
	var err error
	tr.regions, err = distributed.New(tr.foreign, &distributed.Options{Prefix: prefix, Budget: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.regions.Close(tr.ctx) })
	tr.plain = cache.NewTyped(tr.regions, typed)
	return tr
}

// run returns how stale reads were, the worst and all.
func (tr *trial) run(d time.Duration) (worst time.Duration, stale []time.Duration) {
	var wg sync.WaitGroup
	until := time.Now().Add(d)
	for i := range tr.records {
		wg.Go(func() { tr.write(i, until) })
	}
	for i := range tr.views {
		for range staleReads {
			wg.Go(func() { tr.read(i, until) })
		}
	}
	wg.Go(func() { tr.disturb(until) })
	wg.Wait()
	for _, late := range tr.stale {
		worst = max(worst, late)
	}
	return worst, tr.stale
}

func keyOf(i int) string { return fmt.Sprint("k", i) }

func regionOf(i int) cache.Token { return cache.RegionToken(fmt.Sprint("r", i)) }

// write changes key i until then, and sees to it that a near cache shows its own
// writes at once.
func (tr *trial) write(i int, until time.Time) {
	key, opts := keyOf(i), cache.EntryOptions{TTL: time.Minute, Tokens: []cache.Token{regionOf(i)}}
	own := false
	for time.Now().Before(until) && tr.numbers[i]+1 < len(tr.records[i].acked) {
		tr.numbers[i]++
		n := tr.numbers[i]
		var err error
		switch rand.IntN(8) {
		case 0:
			err = tr.foreign.Del(tr.ctx, prefix+key).Err()
		case 1:
			err = tr.regions.ExpireTokens(tr.ctx, regionOf(i))
		case 2:
			err = tr.foreign.PExpireAt(tr.ctx, prefix+key, time.Unix(1, 0)).Err()
		case 3:
			err = tr.nears[0].Remove(tr.ctx, key)
		case 4:
			own = true
			err = tr.views[0].Set(tr.ctx, key, n, opts)
		default:
			err = tr.plain.Set(tr.ctx, key, n, opts)
		}
		if err != nil {
			tr.t.Errorf("a change: %v", err)
			return
		}
		tr.records[i].acked[n].Store(int64(time.Since(tr.began)))
		tr.changes.Add(1)
		if own {
			if got, ok, err := tr.views[0].Get(tr.ctx, key); err == nil && (!ok || got != n) {
				tr.t.Errorf("after an own write of %d a Get is %d, %v", n, got, ok)
			}
			own = false
		}
		pause := time.Duration(rand.ExpFloat64() * float64(2*time.Millisecond))
		if rand.IntN(16) == 0 {
			pause = 2 * staleBound // what is wrong now is not put right by the next change
		}
		time.Sleep(pause)
	}
}

// read reads through near cache i until then.
func (tr *trial) read(i int, until time.Time) {
	var stale []time.Duration
	for time.Now().Before(until) {
		k := rand.IntN(staleKeys)
		began := time.Since(tr.began)
		n, ok, err := tr.views[i].Get(tr.ctx, keyOf(k))
		tr.reads.Add(1)
		if err != nil || !ok {
			continue // by a fault, or removed
		}
		if late := tr.records[k].staleness(n, began); late > 0 {
			stale = append(stale, late)
		}
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.stale = append(tr.stale, stale...)
}

// disturb cuts the connections of some near caches, and stalls them for longer
// than the bound.
func (tr *trial) disturb(until time.Time) {
	time.Sleep(100 * time.Millisecond)
	for i := 0; time.Now().Before(until.Add(-staleBound)); i++ {
		l := tr.links[i/2%len(tr.links)]
		if i%2 == 0 {
			l.cut()
		} else {
			l.stall(2 * staleBound)
		}
		time.Sleep(150 * time.Millisecond)
	}
}

func (tr *trial) hits() (n uint64) {
	for _, c := range tr.nears {
		n += c.NearStats().Hits
	}
	return n
}

func (tr *trial) losses() (n uint64) {
	for _, c := range tr.nears {
		n += c.Contact().Lost
	}
	return n
}

// slowCodec takes its time to decode now and then, as real ones do when another
// goroutine has the core.
type slowCodec struct{}

func (slowCodec) ID() string { return "slow" }

func (slowCodec) Append(dst []byte, n int) ([]byte, error) {
	return binary.AppendVarint(dst, int64(n)), nil
}

func (slowCodec) Decode(data []byte) (int, error) {
	if rand.IntN(4) == 0 {
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
	}
	n, _ := binary.Varint(data)
	return int(n), nil
}
