package distributed

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/envelope"
)

// An entry with stamps is judged by the generations that are current after it
// was read, or together with it. Nothing is remembered from one call to the
// next: a generation that was read before the call began may have been expired
// before it, too.

// current is what was found under a generation's key.
type current struct {
	id  envelope.ID // zero: there is none
	err error       // the server could not be asked
}

// known is the current generations that a call has read, by the names of stamps.
type known map[string]current

// found returns what an answer to GET says about a generation.
func found(raw []byte, err error) current {
	switch {
	case errors.Is(err, redis.Nil), isWrongType(err):
		return current{}
	case err != nil:
		return current{err: serverError(err)}
	}
	g, _ := parseGeneration(raw)
	return current{id: g.id}
}

// foundBy is found for a GET that ended with err. Unless it was answered a lane may
// still be using it.
func foundBy(get redis.Cmder, err error) current {
	var raw []byte
	if err == nil {
		raw, err = get.(*redis.StringCmd).Bytes()
	}
	return found(raw, err)
}

// learn reads the generations that k lacks of those that the entries depend on:
// one round trip per node, none if it lacks none.
func (c *Cache) learn(ctx context.Context, k known, entries ...*entry) {
	var names []string
	for _, e := range entries {
		for name := range e.stamps.All() {
			if _, ok := k[string(name)]; !ok {
				names = append(names, string(name))
				k[names[len(names)-1]] = current{}
			}
		}
	}
	if len(names) == 0 {
		return
	}
	values, errs := c.transport.GetAll(ctx, c.generations.keys(names))
	for i, name := range names {
		k[name] = found(values[i], errs[i])
	}
}

// judge makes e an expired value if one of its generations is not the current
// one. An error means that it cannot be told; then there is no value.
func (k known) judge(e *entry) error {
	var unknown error
	for name, id := range e.stamps.All() {
		now := k[string(name)]
		if now.err == nil && now.id != id || id == (envelope.ID{}) {
			*e = entry{state: isExpired, header: e.header}
			return nil
		}
		if now.err != nil {
			unknown = now.err
		}
	}
	if unknown != nil {
		*e = entry{state: isUndecodable, err: unknown}
	}
	return unknown
}

// judge tells whether e, a value with stamps, still counts.
func (c *Cache) judge(ctx context.Context, e *entry) error {
	k := make(known, 4)
	c.learn(ctx, k, e)
	return k.judge(e)
}

// judgeAll judges those entries that have stamps and no error, in one round trip
// per node.
func (c *Cache) judgeAll(ctx context.Context, entries []entry, errs []error) {
	var stamped []*entry
	for i := range entries {
		if errs[i] == nil && entries[i].stamps != nil {
			stamped = append(stamped, &entries[i])
		}
	}
	if len(stamped) == 0 {
		return
	}
	k := make(known)
	c.learn(ctx, k, stamped...)
	for i := range entries {
		if errs[i] == nil && entries[i].stamps != nil {
			errs[i] = k.judge(&entries[i])
		}
	}
}

// maxVerdicts is how often a script is run again because the value that the
// verdict was about has been replaced by another with stamps.
const maxVerdicts = 16

var errContended = fmt.Errorf("%w: the entry is being replaced all the time", cache.ErrUnavailable)

// verdict judges the value with which a script answered "stamped", and returns
// what to tell the script about it. Stamps that cannot be read are dead.
func (c *Cache) verdict(ctx context.Context, a answer) ([]byte, error) {
	e := entry{state: isUndecodable}
	if stamps, err := envelope.ParseStamps([]byte(a.text(1))); err == nil {
		e = entry{state: isValue, stamps: stamps}
		if err := c.judge(ctx, &e); err != nil {
			return nil, err
		}
	}
	if e.state == isValue {
		return append([]byte("L"), a.text(0)...), nil
	}
	return append([]byte("D"), a.text(0)...), nil
}
