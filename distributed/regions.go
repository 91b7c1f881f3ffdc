package distributed

import (
	"context"
	"errors"
	"fmt"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
)

// TrackRegions says that tokens will be used: from now on a lease comes with
// the moment that was read in the same round trip. See cache.Regions.
func (c *Cache) TrackRegions() { c.tracking.Store(true) }

// Moment returns the point that the history of the regions has reached: one GET,
// which concurrent calls share, and once ever a script. See cache.Regions.
func (c *Cache) Moment(ctx context.Context) (cache.Moment, error) {
	const op = "moment"
	if err := c.begin(ctx); err != nil {
		return cache.Moment{}, failed(op, "", err)
	}
	h, err := c.history(ctx)
	return h.at, failed(op, "", err)
}

// Unexpired reports whether none of tokens expired after since: one round trip
// of GETs, which concurrent calls share. See cache.Regions.
func (c *Cache) Unexpired(ctx context.Context, since cache.Moment, tokens []cache.Token) (bool, error) {
	const op = "unexpired"
	if err := c.begin(ctx); err != nil {
		return false, failed(op, "", err)
	}
	if err := cache.CheckTokens(tokens); err != nil {
		return false, failed(op, "", err)
	}
	if since == (cache.Moment{}) || len(tokens) == 0 {
		return since != (cache.Moment{}), nil
	}
	names := stampNames(tokens)
	values, errs := c.transport.GetAll(ctx, append(c.generations.keys(names), c.generations.epoch))
	s := stamped{of: make(map[string]generation, len(names))}
	for i := range values {
		if now := found(values[i], errs[i]); now.err != nil {
			return false, failed(op, "", now.err)
		}
	}
	for i, name := range names {
		s.of[name], _ = parseGeneration(values[i])
	}
	s.epoch, _ = parseHistory(values[len(names)])
	return s.unexpired(names, since), nil
}

// GetUnder is Get for an entry that is known to carry tokens: their generations
// are asked for in the same round trip. See cache.Regions.
func (c *Cache) GetUnder(ctx context.Context, key string, tokens []cache.Token) ([]byte, bool, error) {
	const op = "get_under"
	if len(tokens) == 0 || cache.CheckTokens(tokens) != nil {
		return c.Get(ctx, key)
	}
	if err := c.beginKey(ctx, op, key); err != nil {
		return nil, false, err
	}
	names := stampNames(tokens)
	keys := append([]string{c.name(key)}, c.generations.keys(names)...)
	values, errs := c.transport.GetAll(ctx, keys)
	e, err := received(keys[0], values[0], errs[0])
	if err == nil && e.stamps != nil {
		k := make(known, len(names))
		for i, name := range names {
			k[name] = found(values[1+i], errs[1+i])
		}
		c.learn(ctx, k, &e)
		err = k.judge(&e)
	}
	if err == nil {
		err = c.valueRead(ctx, op, key, e)
	} else {
		err = failed(op, key, err)
	}
	if err != nil || e.state != isValue {
		return nil, false, err
	}
	return e.payload, true, nil
}

// ExpireTokens invalidates every entry that carries one of tokens: one script on
// one server; elsewhere one script for the epoch, and then one for each token,
// all at once. If some of them fail the error is cache.ErrOutcomeUnknown; to
// call it again is safe. See cache.Regions.
func (c *Cache) ExpireTokens(ctx context.Context, tokens ...cache.Token) error {
	const op = "expire_tokens"
	if err := c.begin(ctx); err != nil {
		return failed(op, "", err)
	}
	for _, t := range tokens {
		if err := t.Check(); err != nil {
			return failed(op, "", err)
		}
	}
	if len(tokens) == 0 {
		return nil
	}
	c.coordinator.InvalidateTokens(tokens)
	defer c.coordinator.InvalidateTokens(tokens)
	return failed(op, "", c.outdate(ctx, tokens))
}

// outdate advances the epoch, and then gives the tokens new generations.
func (c *Cache) outdate(ctx context.Context, tokens []cache.Token) error {
	names, afresh := ownNames(tokens)
	var together []string
	if c.transport.Single() {
		together = names[:min(len(names), maxTogether)]
	}
	var digests []byte
	for _, name := range names[max(0, len(names)-maxRecent):] {
		digests = appendDigest(digests, name)
	}
	args := []any{"", newIncarnation(), afresh, millis(2 * generationSlack), len(names), digests}
	for range together {
		id := newVersion()
		args = append(args, id[:])
	}
	cmd := outdateScript.CmdOf(ctx, append(c.generations.keys(together), c.generations.epoch), args...)
	if err := c.transport.Do(ctx, c.generations.epoch, cmd, transport.Write); err != nil {
		return serverError(err)
	}
	epoch, err := cmd.Text()
	if err != nil {
		return serverError(err)
	}
	return c.outdateRest(ctx, epoch, names, len(together))
}

// ownNames returns the names of the tokens' own stamps, each once. If one is
// the global token, afresh is "1": another incarnation expires all others, too.
func ownNames(tokens []cache.Token) (names []string, afresh string) {
	seen := make(map[string]bool, len(tokens))
	for _, t := range tokens {
		name := stampName(t)
		if name == everything {
			return []string{everything}, "1"
		}
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names, "0"
}

// outdateRest gives new generations to the names after the first done ones.
func (c *Cache) outdateRest(ctx context.Context, epoch string, names []string, done int) error {
	b := newBatch(len(names) - done)
	for i, name := range names[done:] {
		key, id := c.generations.key(name), newVersion()
		b.add(i, key, outdateScript.Cmd(ctx, key, epoch, "", "0", millis(2*generationSlack), 0, "", id[:]))
	}
	var bad error
	refused := 0
	for _, err := range c.send(ctx, b, transport.Write) {
		switch {
		case err == nil:
			done++
		case !errors.Is(err, cache.ErrOutcomeUnknown):
			refused++
			bad = errors.Join(bad, serverError(err))
		default:
			bad = errors.Join(bad, err)
		}
	}
	switch {
	case bad == nil:
		return nil
	case refused == len(names):
		return bad // no token expired
	}
	return &partialError{done: done, of: len(names), cause: bad}
}

// partialError says that some tokens expired and others did not, or may not
// have.
type partialError struct {
	done, of int
	cause    error
}

func (e *partialError) Error() string {
	return fmt.Sprintf("%v: only %d of %d tokens expired for certain: %v", cache.ErrOutcomeUnknown, e.done, e.of, e.cause)
}

// Is makes it cache.ErrOutcomeUnknown and nothing else, so that nobody takes it
// for cache.ErrUnavailable, which means that nothing was done; but for a context
// that ended, which a caller may want to know.
func (e *partialError) Is(target error) bool {
	return target == cache.ErrOutcomeUnknown ||
		(target == context.Canceled || target == context.DeadlineExceeded) && errors.Is(e.cause, target)
}
