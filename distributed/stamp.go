package distributed

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/envelope"
)

// A generation's key lives at least a day longer than any entry stored under it
// (for ever, if one does), so that it does not end first, and goes away some
// time after the last of them. An entry whose life is prolonged by more than
// that may become a miss.
const generationSlack = 24 * time.Hour

// wanted is how long the generation of an entry must live; 0: for ever.
func (p *prepared) wanted() time.Duration {
	if p.life.TTL == 0 {
		return 0
	}
	return p.life.TTL + generationSlack
}

// wants is the generations that a call needs, and for how long.
type wants struct {
	names []string // of stamps
	ttls  map[string]time.Duration
}

func (w *wants) add(p *prepared) {
	for _, name := range p.names {
		ttl, ok := w.ttls[name]
		switch wanted := p.wanted(); {
		case !ok:
			w.names = append(w.names, name)
			w.ttls[name] = wanted
		case ttl != 0 && (wanted == 0 || wanted > ttl):
			w.ttls[name] = wanted
		}
	}
}

// args is what the stamp script is told about one generation.
func (w *wants) args(name string) []any {
	id := newVersion()
	return []any{id[:], millis(w.ttls[name])}
}

// stamped is what the generations were found to be.
type stamped struct {
	epoch    history
	epochErr error
	of       map[string]generation
	errs     map[string]error
}

// stampOne is stamp for one value. It does nothing for one without tokens.
func (c *Cache) stampOne(ctx context.Context, p *prepared) error {
	if p.names == nil {
		return nil
	}
	return c.stamp(ctx, p)[0]
}

// stampMany is stamp for those of the values that have tokens and no error.
func (c *Cache) stampMany(ctx context.Context, values []prepared, errs []error) {
	var some []*prepared
	var at []int
	for i := range values {
		if errs[i] == nil && values[i].names != nil {
			some, at = append(some, &values[i]), append(at, i)
		}
	}
	if len(some) == 0 {
		return
	}
	for j, err := range c.stamp(ctx, some...) {
		errs[at[j]] = err
	}
}

// stamp completes values that have tokens, with the generations as they are now:
// one round trip; on several servers two, if a value is a fill. What it returns
// for a value says why that must not be stored.
func (c *Cache) stamp(ctx context.Context, values ...*prepared) []error {
	w := wants{ttls: make(map[string]time.Duration)}
	fills := false
	for _, p := range values {
		w.add(p)
		fills = fills || p.since != (cache.Moment{})
	}
	var s stamped
	if c.transport.Single() {
		s = c.stampTogether(ctx, &w)
	} else {
		s = c.stampApart(ctx, &w, fills)
	}
	errs := make([]error, len(values))
	for i, p := range values {
		errs[i] = s.complete(p)
	}
	return errs
}

// complete makes p an entry, unless it must not be stored.
func (s *stamped) complete(p *prepared) error {
	if s.epochErr != nil {
		return s.epochErr
	}
	stamps := make([]envelope.Stamp, 0, len(p.names))
	for _, name := range p.names {
		if err := s.errs[name]; err != nil {
			return err
		}
		stamps = append(stamps, envelope.Stamp{Name: name, ID: s.of[name].id})
	}
	if !s.unexpired(p.names, p.since) {
		return cache.ErrRegionExpired
	}
	packed := envelope.NewStamps(stamps)
	p.entry = make([]byte, 0, envelope.HeaderSize+len(packed)+len(p.value))
	p.entry = envelope.AppendStamped(p.entry, p.header, envelope.Digest(p.name), packed, p.value)
	return nil
}

// unexpired reports whether none of these has expired after since, if that is
// one.
func (s *stamped) unexpired(stamps []string, since cache.Moment) bool {
	if since == (cache.Moment{}) {
		return true
	}
	expired, known, ok := s.epoch.since(since)
	return ok && !slices.ContainsFunc(stamps, func(name string) bool {
		if known {
			return names(expired, name)
		}
		return !notAfter(s.of[name].made, since)
	})
}

// maxTogether is how many generations one script reads: it keeps others waiting.
const maxTogether = 256

// stampTogether asks the one server, by one script for generations and epoch.
func (c *Cache) stampTogether(ctx context.Context, w *wants) stamped {
	s := stamped{of: make(map[string]generation, len(w.names)), errs: make(map[string]error)}
	for rest := w.names; ; {
		names := rest[:min(len(rest), maxTogether)]
		rest = rest[len(names):]
		keys := append(c.generations.keys(names), c.generations.epoch)
		args := []any{newIncarnation()}
		for _, name := range names {
			args = append(args, w.args(name)...)
		}
		cmd := stampScript.CmdOf(ctx, keys, args...)
		// A lost reply does no harm, so this is not a write.
		err := c.transport.Do(ctx, c.generations.epoch, cmd, transport.Read)
		s.take(names, cmd, err)
		if len(rest) == 0 || s.epochErr != nil {
			return s
		}
	}
}

// take notes what a script answered about these generations, and about the epoch
// if that was among its keys.
func (s *stamped) take(names []string, cmd *transport.ScriptCmd, err error) {
	var parts []any
	if err == nil {
		parts, err = cmd.Slice()
	}
	a := answer{more: parts}
	if err == nil && len(parts) != len(names)+1 {
		err = errBadAnswer
	}
	if err != nil {
		err = serverError(err)
		s.epochErr = err
		for _, name := range names {
			s.errs[name] = err
		}
		return
	}
	for i, name := range names {
		g, ok := parseGeneration([]byte(a.text(i)))
		if !ok {
			s.errs[name] = errBadAnswer
		}
		s.of[name] = g
	}
	if raw := a.text(len(names)); raw != "" {
		var ok bool
		if s.epoch, ok = parseHistory([]byte(raw)); !ok {
			s.epochErr = errBadAnswer
		}
	}
}

// stampApart asks several servers: each generation's by a script, and the
// epoch's afterwards if the order matters. Generations that are new take a round
// trip more.
func (c *Cache) stampApart(ctx context.Context, w *wants, ordered bool) stamped {
	s := stamped{of: make(map[string]generation, len(w.names)), errs: make(map[string]error)}
	b := newBatch(len(w.names) + 1)
	for i, name := range w.names {
		key := c.generations.key(name)
		b.add(i, key, stampScript.Cmd(ctx, key, append([]any{""}, w.args(name)...)...))
	}
	if !ordered {
		b.add(len(w.names), c.generations.epoch, c.epochCmd(ctx))
	}
	errs := c.send(ctx, b, transport.Read)
	for i, name := range w.names {
		var one stamped
		one.of, one.errs = s.of, s.errs
		one.take([]string{name}, b.cmds[i].(*transport.ScriptCmd), errs[i])
	}
	if !ordered {
		s.take(nil, b.cmds[len(w.names)].(*transport.ScriptCmd), errs[len(w.names)])
		if s.epochErr != nil || len(s.unconfirmed(w.names)) == 0 {
			return s
		}
	}
	if s.epoch, s.epochErr = c.history(ctx); s.epochErr == nil {
		c.confirm(ctx, s.unconfirmed(w.names), &s)
	}
	return s
}

// unconfirmed returns the names of the generations that have no epoch, or one of
// another incarnation.
func (s *stamped) unconfirmed(names []string) (some []string) {
	for _, name := range names {
		g, ok := s.of[name]
		if ok && s.errs[name] == nil && incarnation(g.made) != incarnation(s.epoch.at) {
			some = append(some, name)
		}
	}
	return some
}

// confirm notes the epoch, which was read after these generations, with them. If
// it fails, who sees them next will try again; for now they are as they were.
func (c *Cache) confirm(ctx context.Context, names []string, s *stamped) {
	b := newBatch(len(names))
	for i, name := range names {
		key, g := c.generations.key(name), s.of[name]
		b.add(i, key, confirmScript.Cmd(ctx, key, g.bytes(), s.epoch.at[:]))
	}
	c.send(ctx, b, transport.Read)
}

// history returns the epoch, and begins one if there is none.
func (c *Cache) history(ctx context.Context) (history, error) {
	raw, err := c.transport.Get(ctx, c.generations.epoch)
	if now := found(raw, err); now.err != nil {
		return history{}, now.err
	}
	if h, ok := parseHistory(raw); err == nil && ok {
		return h, nil
	}
	return c.beginEpoch(ctx)
}

// beginEpoch is history that takes a script.
func (c *Cache) beginEpoch(ctx context.Context) (history, error) {
	cmd := c.epochCmd(ctx)
	var s stamped
	s.take(nil, cmd, c.transport.Do(ctx, c.generations.epoch, cmd, transport.Read))
	return s.epoch, s.epochErr
}

// epochCmd reads the epoch, and begins one if there is none.
func (c *Cache) epochCmd(ctx context.Context) *transport.ScriptCmd {
	return stampScript.Cmd(ctx, c.generations.epoch, newIncarnation())
}

// momentCmd only reads where it is, for batches.
func (c *Cache) momentCmd(ctx context.Context) *redis.StringCmd {
	return redis.NewStringCmd(ctx, "getrange", c.generations.epoch, 0, len(cache.Moment{})-1)
}

// momentOf returns what momentCmd brought, and begins an epoch if there is none.
func (c *Cache) momentOf(ctx context.Context, raw []byte, err error) (cache.Moment, error) {
	if now := found(raw, err); now.err != nil {
		return cache.Moment{}, now.err
	}
	if err == nil && len(raw) == len(cache.Moment{}) {
		return cache.Moment(raw), nil
	}
	h, err := c.beginEpoch(ctx)
	return h.at, err
}
