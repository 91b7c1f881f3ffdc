package queuetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/larder-go/larder/queue"
)

// proxy passes everything on to a memory queue, unless a sabotage says otherwise.
type proxy struct {
	*queue.Memory
	enqueue func(p *proxy, ctx context.Context, w queue.Write) (uint64, error)
	lookup  func(p *proxy, ctx context.Context, keys []string) ([]queue.State, error)
	claim   func(p *proxy, ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error)
	settle  func(p *proxy, ctx context.Context, outcomes []queue.Outcome) ([]queue.Settled, error)
	stats   func(st *queue.Stats)
	dead    func(p *proxy, ctx context.Context, after string, limit int) ([]queue.DeadLetter, error)
	revive  func(p *proxy, ctx context.Context, key string, sequence uint64) error
	drop    func(p *proxy, ctx context.Context, key string, sequence uint64) error
	before  func(p *proxy, ctx context.Context, b queue.Barrier) (int, error)
	next    func(p *proxy) (uint64, error)
	last    map[string]queue.Claim
}

func (p *proxy) Enqueue(ctx context.Context, w queue.Write) (uint64, error) {
	if p.enqueue != nil {
		return p.enqueue(p, ctx, w)
	}
	return p.Memory.Enqueue(ctx, w)
}

func (p *proxy) Lookup(ctx context.Context, keys []string) ([]queue.State, error) {
	if p.lookup != nil {
		return p.lookup(p, ctx, keys)
	}
	return p.Memory.Lookup(ctx, keys)
}

func (p *proxy) Claim(ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error) {
	if p.claim != nil {
		return p.claim(p, ctx, o)
	}
	return p.Memory.Claim(ctx, o)
}

func (p *proxy) Settle(ctx context.Context, outcomes []queue.Outcome) ([]queue.Settled, error) {
	if p.settle != nil {
		return p.settle(p, ctx, outcomes)
	}
	return p.Memory.Settle(ctx, outcomes)
}

func (p *proxy) Stats(ctx context.Context) (queue.Stats, error) {
	st, err := p.Memory.Stats(ctx)
	if p.stats != nil {
		p.stats(&st)
	}
	return st, err
}

func (p *proxy) Dead(ctx context.Context, after string, limit int) ([]queue.DeadLetter, error) {
	if p.dead != nil {
		return p.dead(p, ctx, after, limit)
	}
	return p.Memory.Dead(ctx, after, limit)
}

func (p *proxy) Revive(ctx context.Context, key string, sequence uint64) error {
	if p.revive != nil {
		return p.revive(p, ctx, key, sequence)
	}
	return p.Memory.Revive(ctx, key, sequence)
}

func (p *proxy) Drop(ctx context.Context, key string, sequence uint64) error {
	if p.drop != nil {
		return p.drop(p, ctx, key, sequence)
	}
	return p.Memory.Drop(ctx, key, sequence)
}

func (p *proxy) Before(ctx context.Context, b queue.Barrier) (int, error) {
	if p.before != nil {
		return p.before(p, ctx, b)
	}
	return p.Memory.Before(ctx, b)
}

func (p *proxy) NextSequence(ctx context.Context, key string) (uint64, error) {
	if p.next != nil {
		return p.next(p)
	}
	return p.Memory.NextSequence(ctx, key)
}

// writing returns a sabotage that changes writes.
func writing(change func(w *queue.Write)) func(*proxy) {
	return func(p *proxy) {
		p.enqueue = func(p *proxy, ctx context.Context, w queue.Write) (uint64, error) {
			change(&w)
			return p.Memory.Enqueue(ctx, w)
		}
	}
}

// looking returns a sabotage that changes what Lookup sees.
func looking(change func(st *queue.State)) func(*proxy) {
	return func(p *proxy) {
		p.lookup = func(p *proxy, ctx context.Context, keys []string) ([]queue.State, error) {
			states, err := p.Memory.Lookup(ctx, keys)
			for i := range states {
				change(&states[i])
			}
			return states, err
		}
	}
}

// claiming returns a sabotage of Claim.
func claiming(claim func(p *proxy, ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error)) func(*proxy) {
	return func(p *proxy) { p.claim = claim }
}

// claimed returns a sabotage that changes claims.
func claimed(change func(c *queue.Claim)) func(*proxy) {
	return claiming(func(p *proxy, ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error) {
		claims, err := p.Memory.Claim(ctx, o)
		for i := range claims {
			change(&claims[i])
		}
		return claims, err
	})
}

// settling returns a sabotage that changes outcomes.
func settling(change func(o *queue.Outcome)) func(*proxy) {
	return func(p *proxy) {
		p.settle = func(p *proxy, ctx context.Context, outcomes []queue.Outcome) ([]queue.Settled, error) {
			outcomes = slices.Clone(outcomes)
			for i := range outcomes {
				change(&outcomes[i])
			}
			return p.Memory.Settle(ctx, outcomes)
		}
	}
}

// counting returns a sabotage that changes Stats.
func counting(change func(st *queue.Stats)) func(*proxy) {
	return func(p *proxy) { p.stats = change }
}

// popped removes items as they are claimed, before they are written.
func popped(p *proxy, ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error) {
	claims, err := p.Memory.Claim(ctx, o)
	for _, c := range claims {
		_, _ = p.Memory.Settle(ctx, []queue.Outcome{{Claim: c, Result: queue.Done}})
	}
	return claims, err
}

// ackedByKey removes all that is queued of a key when any of it is done.
func ackedByKey(p *proxy, ctx context.Context, outcomes []queue.Outcome) ([]queue.Settled, error) {
	settled, err := p.Memory.Settle(ctx, outcomes)
	for i, o := range outcomes {
		if err != nil || o.Result != queue.Done || settled[i] != queue.SettledDone {
			continue
		}
		claims, _ := p.Memory.Claim(ctx, queue.ClaimOptions{Max: 1000, Visibility: time.Hour})
		for _, c := range claims {
			r := queue.Deferred
			if c.Key == o.Claim.Key {
				r = queue.Done
			}
			_, _ = p.Memory.Settle(ctx, []queue.Outcome{{Claim: c, Result: r}})
		}
	}
	return settled, err
}

// honoured settles for whoever asks: it knows items by their keys only.
func honoured(p *proxy) {
	p.last = map[string]queue.Claim{}
	p.claim = func(p *proxy, ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error) {
		claims, err := p.Memory.Claim(ctx, o)
		for _, c := range claims {
			p.last[c.Key] = c
		}
		return claims, err
	}
	p.settle = func(p *proxy, ctx context.Context, outcomes []queue.Outcome) ([]queue.Settled, error) {
		outcomes = slices.Clone(outcomes)
		for i, o := range outcomes {
			if c, ok := p.last[o.Claim.Key]; ok {
				outcomes[i].Claim = c
			}
		}
		return p.Memory.Settle(ctx, outcomes)
	}
}

// revivedAsNew retries a dead letter behind everything else.
func revivedAsNew(p *proxy, ctx context.Context, key string, sequence uint64) error {
	letters, _ := p.Memory.Dead(ctx, "", 1000)
	for _, l := range letters {
		if l.Key == key && l.Sequence == sequence {
			if err := p.Memory.Drop(ctx, key, sequence); err != nil {
				return err
			}
			_, err := p.Memory.Enqueue(ctx, queue.Write{Key: key, Payload: l.Payload})
			return err
		}
	}
	return queue.ErrNoDeadLetter
}

// sabotages are queues that break one promise each, and a case that must say so.
func sabotages() map[string]struct {
	do       func(*proxy)
	caughtBy string
} {
	type s = struct {
		do       func(*proxy)
		caughtBy string
	}
	reverse := func(p *proxy, ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error) {
		claims, err := p.Memory.Claim(ctx, o)
		slices.Reverse(claims)
		return claims, err
	}
	return map[string]s{
		"pops before the write":       {claiming(popped), "Claim/runs out"},
		"pops, unseen by readers":     {claiming(popped), "Write/is seen until the source has it"},
		"acknowledges by key":         {func(p *proxy) { p.settle = ackedByKey }, "Claim/newer write stays"},
		"settles for lost claims":     {honoured, "Claim/lost one settles nothing"},
		"settles for another life":    {honoured, "Claim/of another life"},
		"hides what is being written": {looking(func(st *queue.State) { st.Ahead = nil }), "Write/is seen until the source has it"},
		"hides what is open":          {looking(func(st *queue.State) { st.Open = nil }), "Write/newest is seen"},
		"hides dead letters":          {looking(func(st *queue.State) { st.Dead = false }), "Dead/set aside"},
		"forgets deletions":           {writing(func(w *queue.Write) { w.Deleted = false }), "Write/deletions"},
		"cuts payloads":               {writing(func(w *queue.Write) { w.Payload = w.Payload[:min(1, len(w.Payload))] }), "Write/any bytes"},
		"folds keys":                  {writing(func(w *queue.Write) { w.Key = string(append([]byte(nil), w.Key[0]|0x20)) + w.Key[1:] }), "Write/any bytes"},
		"never claims again": {claiming(func(p *proxy, ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error) {
			o.Visibility = 1000 * time.Hour
			return p.Memory.Claim(ctx, o)
		}), "Claim/runs out"},
		"claims too early": {claiming(func(p *proxy, ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error) {
			o.Visibility /= 1000
			return p.Memory.Claim(ctx, o)
		}), "Claim/runs out"},
		"claims more than Max": {claiming(func(p *proxy, ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error) {
			o.Max += 5
			return p.Memory.Claim(ctx, o)
		}), "Claim/oldest first"},
		"claims the youngest first":  {claiming(reverse), "Claim/oldest first"},
		"does not count attempts":    {claimed(func(c *queue.Claim) { c.Attempt = 1 }), "Failure/waits"},
		"forgets what was coalesced": {claimed(func(c *queue.Claim) { c.Writes, c.First = 1, c.Sequence }), "Write/last one wins"},
		"tries again at once":        {settling(func(o *queue.Outcome) { o.After = 0 }), "Failure/waits"},
		"tries again late":           {settling(func(o *queue.Outcome) { o.After *= 3 }), "Failure/waits"},
		"counts deferred attempts": {settling(func(o *queue.Outcome) {
			if o.Result == queue.Deferred {
				o.Result = queue.Failed
			}
		}), "Failure/deferred does not count"},
		"drops what failed": {settling(func(o *queue.Outcome) { o.Result = queue.Done }), "Failure/waits"},
		"drops dead letters": {settling(func(o *queue.Outcome) {
			if o.Result == queue.Dead {
				o.Result = queue.Done
			}
		}), "Dead/set aside"},
		"forgets reasons": {settling(func(o *queue.Outcome) { o.Reason = "" }), "Dead/set aside"},
		"merges onto anything": {writing(func(w *queue.Write) {
			if w.Mode == queue.Merge {
				w.Mode, w.Onto = queue.Park, 0
			}
		}), "Merge/onto what is open"},
		"replaces what is parked": {writing(func(w *queue.Write) {
			if w.Mode == queue.Park {
				w.Mode = queue.Replace
			}
		}), "Park/stays behind"},
		"parks whole values": {writing(func(w *queue.Write) {
			if w.Mode == queue.Replace {
				w.Mode = queue.Park
			}
		}), "Failure/older does not come after newer"},
		"parks behind the dead": {writing(func(w *queue.Write) {
			if w.Mode == queue.Replace {
				w.Mode = queue.Park
			}
		}), "Dead/replaced"},
		"retries the dead as new": {func(p *proxy) { p.revive = revivedAsNew }, "Dead/retried"},
		"does not drop":           {func(p *proxy) { p.drop = func(*proxy, context.Context, string, uint64) error { return nil } }, "Dead/dropped"},
		"drops any dead letter": {func(p *proxy) {
			p.drop = func(p *proxy, ctx context.Context, key string, s uint64) error {
				_ = p.Memory.Drop(ctx, key, s)
				return nil
			}
		}, "Dead/dropped"},
		"lists the dead again": {func(p *proxy) {
			p.dead = func(p *proxy, ctx context.Context, after string, limit int) ([]queue.DeadLetter, error) {
				if after > "d" {
					after = "c"
				}
				l, err := p.Memory.Dead(ctx, after, limit+1)
				return l, err
			}
		}, "Dead/pages"},
		"flushes nothing": {func(p *proxy) { p.before = func(*proxy, context.Context, queue.Barrier) (int, error) { return 0, nil } }, "Flush/counts what was before"},
		"flushes what came later": {func(p *proxy) {
			p.before = func(p *proxy, ctx context.Context, _ queue.Barrier) (int, error) {
				b, _ := p.Memory.Barrier(ctx)
				return p.Memory.Before(ctx, b)
			}
		}, "Flush/counts what was before"},
		"waits for the dead": {func(p *proxy) {
			p.before = func(p *proxy, ctx context.Context, b queue.Barrier) (int, error) {
				n, err := p.Memory.Before(ctx, b)
				st, _ := p.Memory.Stats(ctx)
				return n + st.Dead, err
			}
		}, "Flush/does not wait for the dead"},
		"starts sequences anew":     {func(p *proxy) { p.next = func(*proxy) (uint64, error) { return 1, nil } }, "Write/sequences beside the queue"},
		"counts nothing in flight":  {counting(func(st *queue.Stats) { st.InFlight = 0 }), "Claim/counts"},
		"has no age":                {counting(func(st *queue.Stats) { st.Oldest = 0 }), "Claim/counts"},
		"counts the dead as queued": {counting(func(st *queue.Stats) { st.Queued += st.Dead }), "Dead/set aside"},
		"ignores contexts": {func(p *proxy) {
			p.lookup = func(p *proxy, _ context.Context, keys []string) ([]queue.State, error) {
				return p.Memory.Lookup(context.Background(), keys)
			}
		}, "Input/contexts"},
		"takes bad keys": {writing(func(w *queue.Write) { w.Key = "x" + w.Key; w.Key = w.Key[:min(len(w.Key), 1024)] }), "Input/keys"},
		"takes bad options": {claiming(func(p *proxy, ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error) {
			o.Max = max(o.Max, 1)
			return p.Memory.Claim(ctx, o)
		}), "Input/options"},
		"differs now and then": {settling(func(o *queue.Outcome) {
			if o.Claim.Attempt > 1 {
				o.Result = queue.Done
			}
		}), "Model/whole values"},
		"loses a write under pressure": {writing(func(w *queue.Write) {
			if w.Key == "key3" && w.Mode == queue.Replace {
				w.Key = "key4"
			}
		}), "Concurrent/nothing lost, nothing out of order"},
	}
}

func (p *proxy) config() Config {
	return Config{
		New: func(tb testing.TB) queue.Queue { return p.renew(tb, nil) },
		NewLimited: func(tb testing.TB, items int) queue.Queue {
			return p.renew(tb, &queue.MemoryOptions{MaxEntries: items})
		},
		TooLarge: queue.DefaultMaxBytes,
		Reopen:   func(_ testing.TB, q queue.Queue) queue.Queue { return q },
	}
}

func (p *proxy) renew(tb testing.TB, opts *queue.MemoryOptions) queue.Queue {
	m, err := queue.NewMemory(opts)
	if err != nil {
		tb.Fatal(err)
	}
	fresh := *p
	fresh.Memory = m
	return &fresh
}

func TestSabotagedQueuesAreCaught(t *testing.T) {
	all := cases()
	for name, s := range sabotages() {
		t.Run(name, func(t *testing.T) {
			i := slices.IndexFunc(all, func(c testCase) bool { return c.name == s.caughtBy })
			if i < 0 {
				t.Fatalf("there is no case %q", s.caughtBy)
			}
			p := &proxy{}
			s.do(p)
			switch failure := all[i].execute(t, p.config()).(type) {
			case failed:
			default:
				t.Errorf("%s: got %v, want a failure", s.caughtBy, failure)
			}
		})
	}
}

func TestLimitsAndDurabilityAreCaught(t *testing.T) {
	cfg := (&proxy{}).config()
	for name, change := range map[string]func(c *Config){
		"Limit/full":                         func(c *Config) { c.NewLimited = func(tb testing.TB, _ int) queue.Queue { return c.New(tb) } },
		"Limit/dead letters count":           func(c *Config) { c.NewLimited = func(tb testing.TB, _ int) queue.Queue { return c.New(tb) } },
		"Limit/too large":                    func(c *Config) { c.TooLarge = 10 },
		"Durable/survives its process":       func(c *Config) { c.Reopen = func(tb testing.TB, _ queue.Queue) queue.Queue { return c.New(tb) } },
		"Durable/claims of the dead run out": func(c *Config) { c.Reopen = func(tb testing.TB, _ queue.Queue) queue.Queue { return c.New(tb) } },
	} {
		t.Run(name, func(t *testing.T) {
			broken := cfg
			change(&broken)
			all := cases()
			i := slices.IndexFunc(all, func(c testCase) bool { return c.name == name })
			if failure, ok := all[i].execute(t, broken).(failed); !ok {
				t.Errorf("got %v, want a failure", failure)
			}
			if failure := all[i].execute(t, cfg); failure != nil {
				t.Errorf("a faithful queue: got %v, want no failure", failure)
			}
		})
	}
}

// A queue in real time, and one that is a decorator, are as good as any.
func TestFaithfulQueuesPass(t *testing.T) {
	Run(t, (&proxy{}).config())
	t.Run("in real time", func(t *testing.T) {
		cfg := (&proxy{}).config()
		cfg.Unit = 20 * time.Millisecond
		Run(t, cfg)
	})
}
