package near

import (
	"context"

	"github.com/larder-go/larder/cache"
)

// Explain says why key is or is not served: what is held in this process, and
// whether it may be served, then what distributed.Cache.Explain says. See
// cache.Explainer.
func (c *Cache) Explain(ctx context.Context, key string) (cache.Explanation, error) {
	return c.ExplainAs(ctx, key, func(as cache.State, _ any) (cache.State, error) { return as, nil })
}

// ExplainAs is Explain for a reader who judges values. See cache.Explainer.
func (c *Cache) ExplainAs(ctx context.Context, key string, judge func(as cache.State, held any) (cache.State, error)) (cache.Explanation, error) {
	e, err := c.Cache.ExplainAs(ctx, key, judge)
	if err != nil {
		return e, err
	}
	here, err := c.explainHere(ctx, key, judge)
	if err != nil {
		return cache.Explanation{}, err
	}
	at := 0
	for at < len(e.Reasons) && e.Reasons[at].State == cache.StateDisabled {
		at++
	}
	e.Reasons = append(e.Reasons[:at:at], append(here, e.Reasons[at:]...)...)
	return e, nil
}

// explainHere is what the tier in this process contributes, if anything.
func (c *Cache) explainHere(ctx context.Context, key string, judge func(as cache.State, held any) (cache.State, error)) ([]cache.Reason, error) {
	now := c.Contact()
	serving := now.Serving
	held, err := c.local.ExplainAs(ctx, key, func(as cache.State, value any) (cache.State, error) {
		if !serving {
			return cache.StateNoContact, now.Err
		}
		if v, ok := value.(*copied); ok {
			value = v.value
		}
		return judge(as, value)
	})
	if err != nil {
		return nil, err
	}
	reasons := held.Reasons
	if reasons[0].State == cache.StateAbsent {
		if serving || now.State == Connected { // it is waiting to be filled
			return nil, nil
		}
		reasons[0].State, reasons[0].Err = cache.StateNoContact, now.Err
	}
	for i := range reasons {
		reasons[i].Layer = layer
	}
	return reasons, nil
}
