package cachetest

import (
	"context"
	"errors"
	"strings"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

var explainer = capability[cache.Explainer]("Explainer")

func explainCases() []testCase {
	out := []testCase{
		{
			name: "Explain/Absent",
			rule: "Of a key without an entry Explain says that there is none, or one that has expired, and that it is not served.",
			run: func(e *env) {
				e.wantReason("k", false, cache.StateAbsent)
				set := e.setTTL("k", e.units(1))
				e.sleepUntil(set.plus(e.units(1)))
				if got := e.explain("k"); got.Served() || !got.Has(cache.StateAbsent) && !got.Has(cache.StateExpired) {
					e.errorf("Explain of an expired entry = %v, want absent or expired", got)
				}
			},
		},
		{
			name: "Explain/Value",
			rule: "Of a value Explain says that it is served, what is left of its life, and its sliding window.",
			run: func(e *env) {
				e.set("k", "v", cache.EntryOptions{TTL: time.Hour, SlidingExpiration: time.Minute})
				r := e.wantReason("k", true, cache.StateValue)
				if r.Sliding != time.Minute || r.TTL > time.Minute || r.TTL < 50*time.Second || r.Locked {
					e.errorf("Explain = %v, want a window of a minute, and that left", r)
				}
				e.set("k", "v", cache.EntryOptions{TTL: cache.NoExpiry})
				if r := e.wantReason("k", true, cache.StateValue); r.TTL != cache.NoExpiry {
					e.errorf("Explain = %v, want no end", r)
				}
			},
		},
		{
			name: "Explain/Locked", needs: []need{locker},
			rule: "Of a locked value Explain says that it is locked, and served all the same; of a lock without a value, that it is not.",
			run: func(e *env) {
				e.setLong("k", "v")
				e.lock("k", time.Minute)
				if r := e.wantReason("k", true, cache.StateValue); !r.Locked {
					e.errorf("Explain = %v, want locked", r)
				}
				e.force("absent", time.Minute)
				e.wantReason("absent", false, cache.StateHold)
			},
		},
		{
			name: "Explain/WriteMark", needs: []need{marker},
			rule: "Of a marked key Explain says that its source is being written, and of one whose write has ended that there is nothing.",
			run: func(e *env) {
				m := e.mark("k")
				e.wantReason("k", false, cache.StateWriteMark)
				e.must("EndWrite", e.end("k", m))
				e.wantReason("k", false, cache.StateAbsent)
			},
		},
		{
			name: "Explain/RegionExpired", needs: []need{regions},
			rule: "Of an entry one of whose regions has expired Explain says that it is not served, and why.",
			run: func(e *env) {
				token := cache.RegionToken("explained")
				e.set("k", "v", cache.EntryOptions{TTL: time.Hour, Tokens: []cache.Token{token}})
				e.wantReason("k", true, cache.StateValue)
				e.must("ExpireTokens", as[cache.Regions](e).ExpireTokens(e.ctx, token))
				e.wantReason("k", false, cache.StateRegionExpired)
			},
		},
		{
			name: "Explain/Lease",
			rule: "Of a lease Explain says that a load is in charge of the key, and for how long.",
			run: func(e *env) {
				e.leaseFor("k", time.Minute)
				r := e.wantReason("k", false, cache.StateLease)
				if r.TTL > time.Minute || r.TTL < 50*time.Second || r.Here {
					e.errorf("Explain = %v, want a lease of a minute that no load here has", r)
				}
			},
		},
		{
			name: "Explain/Counter", needs: []need{counter},
			rule: "Of a counter Explain says that it is one, which is no value.",
			run: func(e *env) {
				_, err := e.increment("k", 7)
				e.must("Increment", err)
				e.wantReason("k", false, cache.StateCounter)
			},
		},
		{
			name: "Explain/ChangesNothing", needs: []need{reporter},
			rule: "Explaining restarts no sliding window, and counts neither as a hit nor as a miss.",
			run: func(e *env) {
				before := as[cache.StatsReporter](e).Stats()
				set := e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(2)})
				e.sleepUntil(set.plus(e.units(1)))
				e.explain("k")
				e.explain("absent")
				e.settle()
				after := as[cache.StatsReporter](e).Stats()
				if before.Hits != after.Hits || before.Misses != after.Misses {
					e.errorf("Explain counted: %d hits and %d misses more", after.Hits-before.Hits, after.Misses-before.Misses)
				}
				e.sleepUntil(set.plus(e.units(2)))
				e.wantMiss("k")
			},
		},
		{
			name: "Explain/JudgeDecides",
			rule: "What a value is to its reader is the judge's to say, and its reason is shown.",
			run: func(e *env) {
				e.setLong("k", "v")
				why := errors.New("why")
				got, err := as[cache.Explainer](e).ExplainAs(e.ctx, "k", func(as cache.State, held any) (cache.State, error) {
					if data, ok := held.([]byte); as != cache.StateValue || !ok || string(data) != "v" {
						e.errorf("the judge is given %v and %T, want a value and its bytes", as, held)
					}
					return cache.StateSchema, why
				})
				e.must("ExplainAs", err)
				if got.Served() || !got.Has(cache.StateSchema) || !errors.Is(got.Reasons[0].Err, why) {
					e.errorf("ExplainAs = %v, want what the judge said", got)
				}
			},
		},
		{
			name: "Explain/SaysNoSecrets",
			rule: "An explanation holds neither the key nor the value.",
			run: func(e *env) {
				e.setLong("secret-key", "secret-value")
				if text := e.explain("secret-key").String(); strings.Contains(text, "secret") {
					e.errorf("Explain = %q", text)
				}
			},
		},
		{
			name: "Explain/BadInput",
			rule: "Bad input is refused: an empty key, no context, a context that has ended.",
			run: func(e *env) {
				explain := as[cache.Explainer](e).Explain
				_, err := explain(e.ctx, "")
				e.wantErr("Explain of an empty key", err, cache.ErrInvalidKey)
				_, err = explain(nil, "k") //nolint:staticcheck // refusing it is the point
				e.wantErr("Explain without a context", err, cache.ErrNilContext)
				ctx, cancel := context.WithCancel(e.ctx)
				cancel()
				_, err = explain(ctx, "k")
				e.wantErr("Explain with a context that has ended", err, context.Canceled)
			},
		},
		{
			name: "Explain/Loading", needs: []need{coordinated, leaser}, exact: true,
			rule: "Of a key that is being loaded here Explain says for how long, how many wait, and that the lease is of this process.",
			run: func(e *env) {
				v := cache.NewTyped[string](e.c, nil)
				for range 3 {
					go func() {
						_, _ = v.GetOrCreateExclusive(e.ctx, "k", func(context.Context, *cache.Entry) (string, error) {
							time.Sleep(time.Second)
							return "v", nil
						})
					}()
				}
				time.Sleep(time.Second / 2)
				synctest.Wait()
				got, err := v.Explain(e.ctx, "k")
				e.must("Explain", err)
				last := got.Reasons[len(got.Reasons)-1]
				if got.Served() || last.State != cache.StateLoading || last.Waiters != 3 || last.Age != time.Second/2 {
					e.errorf("Explain = %v, want a load of half a second for which 3 wait", got)
				}
				if r := got.Reasons[0]; r.State != cache.StateLease || !r.Here {
					e.errorf("Explain = %v, want a lease of a load here", got)
				}
				time.Sleep(time.Second)
				if got, err := v.Explain(e.ctx, "k"); err != nil || !got.Served() || got.Has(cache.StateLoading) {
					e.errorf("Explain after the load = %v, %v, want served", got, err)
				}
			},
		},
		{
			name: "Explain/Disabled", needs: []need{coordinated, leaser},
			rule: "While caching is switched off Explain says so first, and what is there besides.",
			run: func(e *env) {
				e.setLong("k", "v")
				e.must("SetEnabled", cache.SetEnabled(e.c, false))
				got := e.explain("k")
				if got.Served() || got.Reasons[0].State != cache.StateDisabled || !got.Has(cache.StateValue) {
					e.errorf("Explain = %v, want disabled, and a value", got)
				}
				e.must("SetEnabled", cache.SetEnabled(e.c, true))
				e.wantReason("k", true, cache.StateValue)
			},
		},
	}
	for i := range out {
		out[i].needs = append(out[i].needs, explainer)
	}
	return out
}

func (e *env) explain(key string) cache.Explanation {
	e.report.Helper()
	got, err := as[cache.Explainer](e).Explain(e.ctx, key)
	e.must("Explain", err)
	if len(got.Reasons) == 0 {
		e.fatalf("Explain gives no reason")
	}
	return got
}

// wantReason checks the only reason that there is to be, and returns it.
func (e *env) wantReason(key string, served bool, want cache.State) cache.Reason {
	e.report.Helper()
	got := e.explain(key)
	if got.Served() != served || len(got.Reasons) != 1 || got.Reasons[0].State != want {
		e.errorf("Explain = %v, want served %v, because of %v alone", got, served, want)
	}
	return got.Reasons[0]
}
