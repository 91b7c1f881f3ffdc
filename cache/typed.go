package cache

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/larder-go/larder/internal/schema"
)

// DefaultLoadTimeout bounds a load unless TypedOptions say otherwise.
const DefaultLoadTimeout = 30 * time.Second

// TypedOptions configure a Typed. The zero value, and nil, mean the defaults.
type TypedOptions[V any] struct {
	// Codec turns values into bytes. nil: Msgpack. A cache that holds Go values
	// as they are (see Objects) does not use it.
	Codec Codec[V]

	// Schema names the form of the encoded value. Entries of another form are
	// misses. Empty: derived from V's structure and the codec, so that a
	// changed type is another form.
	Schema string

	// Defaults apply where Set's options, or a loader's Entry, leave a field
	// zero. What is zero here too comes from the backend's defaults. Its Tokens
	// are those of every entry, negative ones included.
	Defaults EntryOptions

	// Freshness of every entry: see there. What a loader says in its Entry counts
	// first.
	Freshness

	// NegativeTTL, if positive, makes ErrNotFound of a loader a negative entry
	// that lives so long; until then callers get ErrNotFound without a load.
	// Zero: off.
	NegativeTTL time.Duration

	// LoadTimeout bounds a load, whatever its callers' deadlines are. Zero:
	// DefaultLoadTimeout. A loader that ignores its context keeps its
	// goroutine, but its callers get ErrLoadTimeout, or the expired value that
	// Freshness.StaleIfError keeps for them.
	LoadTimeout time.Duration

	// HardTimeout is how long a caller waits for a load before it gets what it
	// would get at LoadTimeout. The load goes on in the background, until
	// LoadTimeout, and is stored. Zero: off.
	HardTimeout time.Duration
}

// Typed is a view of a cache that holds values of type V. Make it once and
// share it; it is safe for concurrent use.
//
// If the cache holds Go values as they are (package memory), values are stored
// without encoding and a hit costs no allocation; who reads a value shares it
// and must not change what it points to. Otherwise values are encoded, and each
// hit decodes its own copy.
//
// nil, zero and empty values are values like any other, distinct from each
// other, from a miss and from a negative entry.
type Typed[V any] struct {
	cache     Cache
	objects   Objects     // nil if values are encoded
	near      Near        // nil if the cache has no tier of objects in front of one of bytes
	abstract  bool        // V is an interface type
	direct    bool        // no other process writes the cache, a look-up asks objects, and a V there is a value
	nearby    bool        // a look-up asks near, and a V there is a value
	leaser    Leaser      // nil if the cache has no leases
	peeker    Peeker      // nil if no other process writes the cache
	waker     Waker       // nil if nobody hints that another process's load has ended
	batcher   Batcher     // nil if the cache moves one entry at a time
	marker    WriteMarker // nil if the cache has no write marks
	regions   Regions     // nil if entries have no tokens
	names     Coordinated
	shared    *Coordinator // for the switch and the counters
	own       *Coordinator // not nil if the cache brought none
	changers  changers
	frame     frame
	opts      TypedOptions[V]
	configErr error
}

// NewTyped returns a view of c; opts may be nil. Bad options are reported by
// every later call, with ErrInvalidConfig.
//
// A cache with Coordinated and Leaser (memory, distributed) gives all that
// GetOrCreateExclusive promises. With a cache that has only the four methods,
// loads are shared between the callers of this Typed, and only writes that go
// through it void them; such a Typed must be closed.
func NewTyped[V any](c Cache, opts *TypedOptions[V]) *Typed[V] {
	t := &Typed[V]{cache: c}
	if opts != nil {
		t.opts = *opts
	}
	if t.opts.Codec == nil {
		t.opts.Codec = Msgpack[V]()
	}
	t.opts.Codec = guard(t.opts.Codec)
	if t.opts.LoadTimeout == 0 {
		t.opts.LoadTimeout = DefaultLoadTimeout
	}
	t.opts.Defaults.Tokens = slices.Clone(t.opts.Defaults.Tokens)
	t.configErr = t.check()
	if t.configErr != nil {
		return t
	}
	t.frame = newFrame(t.opts.Schema, schema.ID(t.opts.Codec.ID(), reflect.TypeFor[V]()))
	t.objects, _ = As[Objects](c)
	t.near, _ = As[Near](c)
	t.abstract = reflect.TypeFor[V]().Kind() == reflect.Interface
	t.batcher, _ = As[Batcher](c)
	t.marker, _ = As[WriteMarker](c)
	t.changers = changersOf(c)
	names, leaser, ok := coordination(c)
	if ok {
		t.leaser = leaser
		t.peeker, _ = As[Peeker](c)
		t.waker, _ = As[Waker](c)
		t.regions, _ = As[Regions](c)
	} else {
		t.own = NewCoordinator(nil)
		names = alone{t.own}
	}
	if t.opts.ages() && !t.refreshes() {
		t.configErr = errNoRefresh
	}
	if t.checkTokens(t.opts.Defaults.Tokens) != nil {
		t.configErr = &OptionError{Option: "TypedOptions.Defaults.Tokens", Value: len(t.opts.Defaults.Tokens), Reason: "need a cache with regions", Err: ErrInvalidConfig}
	}
	if t.configErr == nil && len(t.opts.Defaults.Tokens) > 0 {
		t.regions.TrackRegions()
	}
	t.nearby = t.configErr == nil && t.near != nil && !t.abstract
	t.direct = t.configErr == nil && t.objects != nil && t.near == nil && t.peeker == nil && !t.abstract
	t.names = names
	t.shared, _ = names.Coordinate("")
	return t
}

func (t *Typed[V]) check() error {
	var errs []error
	if isNil(t.cache) {
		errs = append(errs, &OptionError{Option: "cache", Reason: "must not be nil", Err: ErrInvalidConfig})
	}
	if t.opts.NegativeTTL < 0 {
		errs = append(errs, &OptionError{Option: "TypedOptions.NegativeTTL", Value: t.opts.NegativeTTL, Reason: "must not be negative", Err: ErrInvalidConfig})
	}
	if t.opts.LoadTimeout < 0 {
		errs = append(errs, &OptionError{Option: "TypedOptions.LoadTimeout", Value: t.opts.LoadTimeout, Reason: "must not be negative", Err: ErrInvalidConfig})
	}
	if t.opts.HardTimeout < 0 {
		errs = append(errs, &OptionError{Option: "TypedOptions.HardTimeout", Value: t.opts.HardTimeout, Reason: "must not be negative", Err: ErrInvalidConfig})
	}
	if err := t.opts.Freshness.check("TypedOptions.Freshness"); err != nil {
		errs = append(errs, err)
	}
	if _, _, err := t.opts.Defaults.Resolve(EntryOptions{}, time.Now()); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// alone is a cache's coordinator where the cache has none.
type alone struct{ c *Coordinator }

func (a alone) Coordinate(key string) (*Coordinator, string) { return a.c, key }

// Get returns the value under key, fresh or stale (see Freshness). A miss is
// found == false; a negative entry is ErrNotFound. One round trip on a remote
// cache.
func (t *Typed[V]) Get(ctx context.Context, key string) (value V, found bool, err error) {
	value, s, err := t.lookup(ctx, key)
	if s.at == atValue {
		return value, true, nil
	}
	return t.got(ctx, value, s, err)
}

// got is Get for anything but a fresh value.
func (t *Typed[V]) got(ctx context.Context, value V, s sight, err error) (V, bool, error) {
	if s.live() {
		t.served(ctx, s)
		return value, true, nil
	}
	if s.at == atNegative {
		err = ErrNotFound
	}
	var zero V
	return zero, false, err
}

// Set stores value under key; what opts leave zero comes from
// TypedOptions.Defaults. Any V is a value, nil included. It ends a load in
// flight for key, whose result is then not stored. A value that the codec
// refuses is ErrUnencodable, and the entry stays as it was. With opts.Mark it
// ends a write: see EntryOptions.Mark. Tokens on a cache without Regions are
// errors.ErrUnsupported.
func (t *Typed[V]) Set(ctx context.Context, key string, value V, opts EntryOptions) error {
	if err := t.ready(ctx); err != nil {
		return err
	}
	if t.bypassed(ctx) {
		return t.forget(ctx, key, opts.Mark)
	}
	opts = opts.Inherit(t.opts.Defaults)
	if err := t.checkTokens(opts.Tokens); err != nil {
		return &OpError{Op: "set", Key: key, Err: err}
	}
	o := &object[V]{value: value}
	if err := t.ageing(o, &opts, Freshness{}, 0, ""); err != nil {
		return &OpError{Op: "set", Key: key, Err: err}
	}
	return t.write(key, func() error { return t.put(ctx, key, o, opts) })
}

// Refresh restarts the entry's sliding window, if it has one, and moves no
// value.
func (t *Typed[V]) Refresh(ctx context.Context, key string) error {
	if err := t.ready(ctx); err != nil {
		return err
	}
	return t.cache.Refresh(ctx, key)
}

// Remove deletes the entry under key. A caller that starts after Remove
// returned never gets a value loaded before.
func (t *Typed[V]) Remove(ctx context.Context, key string) error {
	if err := t.ready(ctx); err != nil {
		return err
	}
	return t.remove(ctx, key)
}

// forget ends a write with this mark, or else removes what is there: without
// the cache the value is not stored, and what is there is out of date.
func (t *Typed[V]) forget(ctx context.Context, key string, mark WriteMark) error {
	if mark == (WriteMark{}) || t.marker == nil {
		return t.remove(ctx, key)
	}
	return t.marker.EndWrite(ctx, key, mark)
}

func (t *Typed[V]) remove(ctx context.Context, key string) error {
	return t.write(key, func() error { return t.cache.Remove(ctx, key) })
}

// write runs a change of key. A cache with a coordinator tells it by itself.
func (t *Typed[V]) write(key string, change func() error) error {
	if t.own == nil {
		return change()
	}
	t.own.Invalidate(key)
	defer t.own.Invalidate(key)
	return change()
}

// Check returns what is wrong with the options that t was made with: what every
// call would return.
func (t *Typed[V]) Check() error { return t.configErr }

// Cache returns the cache that t is a view of.
func (t *Typed[V]) Cache() Cache { return t.cache }

// Close ends the loads in flight if the cache has no coordinator of its own,
// and else does nothing: then closing the cache does it.
func (t *Typed[V]) Close(ctx context.Context) error {
	if t.own == nil {
		return nil
	}
	return t.own.Close(ctx)
}

func (t *Typed[V]) ready(ctx context.Context) error {
	if t.configErr != nil {
		return t.configErr
	}
	return CheckContext(ctx)
}

func (t *Typed[V]) bypassed(ctx context.Context) bool {
	return t.shared.disabled.Load() || isDisabled(ctx)
}
