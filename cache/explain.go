package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Explainer is the capability of a cache that can say why a key is or is not
// served, for those who look after a running service.
//
// Explaining changes nothing: no sliding window is restarted, nothing is
// reclaimed, and it counts neither as a hit nor as a miss. What it says was true
// at one moment. It costs one round trip, and no value leaves the cache's
// process. An error is for the call as a whole (context, key, closed); a server
// that cannot be asked is a Reason.
type Explainer interface {
	// Explain says what is under key.
	Explain(ctx context.Context, key string) (Explanation, error)

	// ExplainAs is Explain for a reader who knows more of values than the cache
	// does. judge is called at most once per tier that holds one: with
	// StateValue and the value's bytes, or with StateObject and the object, and
	// says what that is to the reader, and why if it is of no use. It must not
	// keep or change what it is given.
	ExplainAs(ctx context.Context, key string, judge func(as State, held any) (State, error)) (Explanation, error)
}

// Explanation says why a key is or is not served. It holds neither the key nor
// the value.
type Explanation struct {
	// Reasons, in the order in which a read meets them: the switch, then each
	// tier, nearest first, then loads in flight. A tier may have several.
	Reasons []Reason
}

// Reason is one thing that decides whether a key is served. Fields that its
// State does not name are zero.
type Reason struct {
	Layer string // who says so, as in Event.Layer
	State State

	// TTL is what is left of an entry, a lease or a lock; NoExpiry if it has no
	// end, 0 if that is not known.
	TTL     time.Duration
	Sliding time.Duration // the window of an entry that has one
	Locked  bool          // whether a lock stands on the entry; it is served all the same

	Here    bool          // StateLease: it is of a load of this process
	Age     time.Duration // StateLoading: how long the load has been in flight
	Waiters int           // StateLoading: how many callers wait for it

	Err error // why: StateUnknown, StateUndecodable, StateForeign, StateNoContact, the breaker's states
}

// State is what a tier, the switch or a load in flight contributes to a key's
// being served or not. More may be added.
type State uint8

const (
	StateUnknown         State = iota // the tier could not be asked; Err says why
	StateValue                        // there is a value: served
	StateNegative                     // it is known that the source has none: ErrNotFound, without a load
	StateAbsent                       // there is nothing
	StateExpired                      // there is an entry past its deadline, not yet reclaimed or kept for StaleIfError; Err says so
	StateUndecodable                  // there is an entry that is damaged or cannot be decoded; Err says why
	StateForeign                      // there is something that larder did not write
	StateSchema                       // there is a typed entry of another type, codec or schema
	StateCounter                      // there is a counter: ErrWrongType to who wants a value
	StateObject                       // there is a Go object: ErrWrongType to who wants bytes
	StateLease                        // there is no value, and a load is in charge of the key
	StateHold                         // there is no value, and a lock stands on the key alone
	StateWriteMark                    // there is no value, and the source is being written
	StateRegionExpired                // there is an entry, and one of its regions has expired
	StateBreakerOpen                  // the server failed and is not asked
	StateBreakerHalfOpen              // the server failed, and is being asked whether it is back
	StateDisabled                     // caching is switched off, for this cache or this context
	StateLoading                      // a load is in flight in this process
	StateStale                        // there is a value past its SoftTTL: served, and refreshed
	StateNoContact                    // there may be an entry in this process, but nothing here is served until the news of changes arrive again
)

var stateNames = [...]string{
	StateUnknown: "unknown", StateValue: "value", StateNegative: "negative", StateAbsent: "absent", StateExpired: "expired",
	StateUndecodable: "undecodable", StateForeign: "foreign", StateSchema: "other schema", StateCounter: "counter",
	StateObject: "object", StateLease: "lease", StateHold: "hold", StateWriteMark: "write mark", StateRegionExpired: "region expired",
	StateBreakerOpen: "breaker open", StateBreakerHalfOpen: "breaker half-open", StateDisabled: "disabled", StateLoading: "loading",
	StateStale:     "stale",
	StateNoContact: "no contact",
}

// String returns the state in a word or two, as in "other schema".
func (s State) String() string {
	if int(s) < len(stateNames) && stateNames[s] != "" {
		return stateNames[s]
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}

// Served reports whether a read would be given a value.
func (e Explanation) Served() bool {
	for _, r := range e.Reasons {
		switch r.State {
		case StateValue, StateStale:
			return true
		case StateDisabled, StateNegative:
			return false
		}
	}
	return false
}

// Has reports whether state is among the reasons.
func (e Explanation) Has(state State) bool {
	for _, r := range e.Reasons {
		if r.State == state {
			return true
		}
	}
	return false
}

// String returns the explanation for humans, as in "not served: redis: lease of
// another process, 4.9s left; load: loading for 120ms, 7 wait". Its form may
// change.
func (e Explanation) String() string {
	var b strings.Builder
	if !e.Served() {
		b.WriteString("not ")
	}
	b.WriteString("served")
	for i, r := range e.Reasons {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(r.String())
	}
	return b.String()
}

// String returns the reason for humans. Its form may change.
func (r Reason) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v", r.Layer, r.State)
	switch {
	case r.State == StateLease && r.Here:
		b.WriteString(" of a load here")
	case r.State == StateLease:
		b.WriteString(" of another process")
	case r.State == StateLoading:
		fmt.Fprintf(&b, " for %v, %d wait", r.Age.Round(time.Millisecond), r.Waiters)
	}
	switch {
	case r.TTL == NoExpiry:
		b.WriteString(", no end")
	case r.TTL > 0:
		fmt.Fprintf(&b, ", %v left", r.TTL.Round(time.Millisecond))
	}
	if r.Sliding > 0 {
		fmt.Fprintf(&b, ", sliding %v", r.Sliding)
	}
	if r.Locked {
		b.WriteString(", locked")
	}
	if r.Err != nil {
		b.WriteString(" (" + strings.TrimPrefix(r.Err.Error(), "larder: ") + ")")
	}
	return b.String()
}

// Explain says why key is or is not served as a V: see Explainer. Beyond what
// the cache itself can tell it knows entries that are negative, of another
// schema or undecodable, and contexts under which caching is off. A cache
// without Explainer is errors.ErrUnsupported.
func (t *Typed[V]) Explain(ctx context.Context, key string) (Explanation, error) {
	if err := t.ready(ctx); err != nil {
		return Explanation{}, err
	}
	explainer, ok := As[Explainer](t.cache)
	if !ok {
		return Explanation{}, fmt.Errorf("larder: a %T cannot explain: %w", t.cache, errors.ErrUnsupported)
	}
	e, err := explainer.ExplainAs(ctx, key, t.judge)
	if err != nil {
		return Explanation{}, err
	}
	if isDisabled(ctx) && !e.Has(StateDisabled) {
		e.Reasons = append([]Reason{{Layer: layerLoad, State: StateDisabled}}, e.Reasons...)
	}
	return e, nil
}

// judge tells what an entry is to this Typed.
func (t *Typed[V]) judge(as State, held any) (State, error) {
	if t.objects != nil || t.near != nil && as == StateObject {
		return t.judgeObject(as, held)
	}
	data, ok := held.([]byte)
	if as != StateValue || !ok {
		return as, nil
	}
	payload, w, at, err := t.frame.open(data)
	switch {
	case at == atNegative:
		return StateNegative, nil
	case errors.Is(err, errForeignSchema):
		return StateSchema, nil
	case at == atUndecodable:
		return StateUndecodable, err
	}
	err = shielded(func() error {
		_, err := t.opts.Codec.Decode(payload)
		return err
	})
	if err != nil {
		return StateUndecodable, err
	}
	return w.see().judged()
}

// judged is what a value is to Explain.
func (s sight) judged() (State, error) {
	switch s.at {
	case atStale:
		return StateStale, nil
	case atExpired:
		return StateExpired, errKept
	}
	return StateValue, nil
}

var errKept = errors.New("larder: kept for when a load fails")

func (t *Typed[V]) judgeObject(as State, held any) (State, error) {
	if as != StateObject {
		return StateForeign, ErrWrongType // bytes, which the typed layer did not store
	}
	if held == (any)(nothing{}) {
		return StateNegative, nil
	}
	if o, ok := held.(*object[V]); ok {
		return o.see().judged()
	}
	if _, ok := held.(V); ok && !t.abstract {
		return StateValue, nil
	}
	return StateSchema, nil
}

// layerLoad is what the typed layer and its loads call themselves.
const layerLoad = "load"

// Explain completes what a backend found under name: it puts the switch before
// it, says whether the lease under name, zero if there is none, is of a load of
// this process, and adds the loads in flight. It is for backends.
func (c *Coordinator) Explain(name string, lease Lease, found ...Reason) Explanation {
	var e Explanation
	if !c.Enabled() {
		e.Reasons = append(e.Reasons, Reason{Layer: layerLoad, State: StateDisabled})
	}
	s := c.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	flight := s.flights[flightKey{name: name}]
	for _, r := range found {
		if r.State == StateLease && flight != nil {
			r.Here = flight.claim.State == LeaseGranted && flight.claim.Lease == lease
		}
		e.Reasons = append(e.Reasons, r)
	}
	for _, bypass := range [...]bool{false, true} {
		if f := s.flights[flightKey{name, bypass}]; f != nil {
			e.Reasons = append(e.Reasons, Reason{
				Layer: layerLoad, State: StateLoading,
				Age: time.Since(f.load.started), Waiters: f.waiters,
			})
		}
	}
	return e
}
