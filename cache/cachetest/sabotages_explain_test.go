package cachetest

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

type judge = func(as cache.State, held any) (cache.State, error)

// brokenExplain is Explainer, with its call replaceable.
type brokenExplain struct {
	explainAs func(ctx context.Context, key string, judge judge) (cache.Explanation, error)
}

func (b brokenExplain) Explain(ctx context.Context, key string) (cache.Explanation, error) {
	return b.explainAs(ctx, key, func(as cache.State, _ any) (cache.State, error) { return as, nil })
}

func (b brokenExplain) ExplainAs(ctx context.Context, key string, judge judge) (cache.Explanation, error) {
	return b.explainAs(ctx, key, judge)
}

// mapReasons changes each reason.
func mapReasons(f func(key string, r *cache.Reason)) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.explainAs = func(ctx context.Context, key string, judge judge) (cache.Explanation, error) {
			e, err := m.ExplainAs(ctx, key, judge)
			for i := range e.Reasons {
				f(key, &e.Reasons[i])
			}
			return e, err
		}
	}
}

func explainSabotages() []sabotage {
	return []sabotage{
		{"explains everything as a value", mapReasons(func(_ string, r *cache.Reason) { r.State = cache.StateValue }),
			[]string{"Explain/Absent", "Explain/Locked", "Explain/WriteMark", "Explain/RegionExpired", "Explain/Lease", "Explain/Counter", "Explain/JudgeDecides", "Explain/Loading", "Explain/Disabled"}},
		{"explains without lifetimes", mapReasons(func(_ string, r *cache.Reason) { r.TTL = 0 }), []string{"Explain/Value", "Explain/Lease"}},
		{"explains without windows", mapReasons(func(_ string, r *cache.Reason) { r.Sliding = 0 }), []string{"Explain/Value"}},
		{"explains without locks", mapReasons(func(_ string, r *cache.Reason) { r.Locked = false }), []string{"Explain/Locked"}},
		{"explains every lease as its own", mapReasons(func(_ string, r *cache.Reason) { r.Here = true }), []string{"Explain/Lease"}},
		{"explains no lease as its own", mapReasons(func(_ string, r *cache.Reason) { r.Here = false }), []string{"Explain/Loading"}},
		{"explains loads without who waits", mapReasons(func(_ string, r *cache.Reason) { r.Waiters = 0 }), []string{"Explain/Loading"}},
		{"explains with the key", mapReasons(func(key string, r *cache.Reason) { r.Layer = key }), []string{"Explain/SaysNoSecrets"}},
		{"explains by reading", func(m *Model, b *broken) {
			b.explainAs = func(ctx context.Context, key string, judge judge) (cache.Explanation, error) {
				if _, _, err := m.Get(ctx, key); err != nil {
					return cache.Explanation{}, err
				}
				return m.ExplainAs(ctx, key, judge)
			}
		}, []string{"Explain/ChangesNothing"}},
		{"restarts windows when it explains", func(m *Model, b *broken) {
			b.explainAs = func(ctx context.Context, key string, judge judge) (cache.Explanation, error) {
				if err := m.Refresh(ctx, key); err != nil {
					return cache.Explanation{}, err
				}
				return m.ExplainAs(ctx, key, judge)
			}
		}, []string{"Explain/ChangesNothing"}},
		{"explains anything to anybody", func(m *Model, b *broken) {
			b.explainAs = func(_ context.Context, key string, judge judge) (cache.Explanation, error) {
				return m.ExplainAs(context.Background(), key+"!", judge)
			}
		}, []string{"Explain/BadInput", "Explain/Value"}},
		{"explains without the switch", func(m *Model, b *broken) {
			b.explainAs = func(ctx context.Context, key string, judge judge) (cache.Explanation, error) {
				on := m.coordinator.Enabled()
				m.coordinator.SetEnabled(true)
				defer m.coordinator.SetEnabled(on)
				return m.ExplainAs(ctx, key, judge)
			}
		}, []string{"Explain/Disabled"}},
		{"judges values itself", func(m *Model, b *broken) {
			b.explainAs = func(ctx context.Context, key string, _ judge) (cache.Explanation, error) { return m.Explain(ctx, key) }
		}, []string{"Explain/JudgeDecides"}},
		{"keeps explaining what has expired", func(m *Model, b *broken) {
			b.explainAs = func(ctx context.Context, key string, judge judge) (cache.Explanation, error) {
				e, err := m.ExplainAs(ctx, key, judge)
				if e.Has(cache.StateExpired) {
					e.Reasons = []cache.Reason{{State: cache.StateValue, TTL: time.Second}}
				}
				return e, err
			}
		}, []string{"Explain/Absent"}},
	}
}
