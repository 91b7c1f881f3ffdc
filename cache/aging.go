package cache

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"
)

// life says what becomes of a value as it ages. Each age is counted from when
// the value was stored; 0 is never.
type life struct {
	soft     time.Duration // the age from which it is stale
	hard     time.Duration // the age from which it is expired but kept
	due      time.Duration // the age before which it is to be refreshed ahead
	spread   time.Duration // how long it took to load, times RefreshAhead
	patience time.Duration // how long who finds it expired waits for a load
}

// aging is the life of one value.
type aging struct {
	life
	born time.Time
	etag string
}

// sight is what a look-up saw of a key.
type sight struct {
	at       found
	age      time.Duration // of a value that ages
	patience time.Duration // as in life
}

// live reports whether a value was seen that may be served as it is.
func (s sight) live() bool { return s.at == atValue || s.at == atAhead || s.at == atStale }

// see tells what the value is at this age.
func (l *life) see(age time.Duration) sight {
	s := sight{atValue, age, l.patience}
	switch {
	case l.hard > 0 && age >= l.hard:
		s.at = atExpired
	case l.soft > 0 && age >= l.soft:
		s.at = atStale
	case l.spread > 0 && ahead(l.due-age, l.spread):
		s.at = atAhead
	}
	return s
}

// ahead reports, by chance, whether a value is to be refreshed that has so long
// left, as XFetch does: it looks ahead by spread times an exponentially
// distributed number. That is over lookAhead less often than once in 10^21 hits, so
// mostly there is no need to draw it.
func ahead(left, spread time.Duration) bool {
	if left <= 0 || left/spread >= lookAhead {
		return false
	}
	return rand.ExpFloat64()*float64(spread) >= float64(left)
}

const lookAhead = 50

// see tells what an object is to a reader.
func (o *object[V]) see() sight {
	if o.aging == nil {
		return sight{at: atValue}
	}
	return o.aging.see(time.Since(o.aging.born))
}

var errNoLifetime = &OptionError{
	Option: "Freshness", Value: "Jitter or StaleIfError", Reason: "needs a TTL or an expiration of the entry, or of TypedOptions.Defaults", Err: ErrInvalidConfig,
}

// ageing makes of o a value that ages as f says, and of opts how long the cache
// keeps it. took is how long its load took.
func (t *Typed[V]) ageing(o *object[V], opts *EntryOptions, f Freshness, took time.Duration, etag string) error {
	f = f.inherit(t.opts.Freshness)
	if f == (Freshness{}) && etag == "" {
		return nil
	}
	if err := f.check("Freshness"); err != nil {
		return err
	}
	if f.ages() && !t.refreshes() {
		return errNoRefresh
	}
	now := time.Now()
	kept, err := opts.lifetime(now)
	if err != nil {
		return err
	}
	if opts.expirationUnset() && (f.Jitter > 0 || f.StaleIfError > 0) {
		return errNoLifetime
	}
	share := 1 - f.Jitter*rand.Float64()
	hard := part(kept.TTL, share)
	if o.negative {
		f.StaleIfError = 0
	}
	if hard > 0 && (f.Jitter > 0 || f.StaleIfError > 0) {
		opts.AbsoluteExpiration = time.Time{}
		opts.TTL = hard + min(wholeMillis(f.StaleIfError), MaxTTL-hard)
	}
	if o.negative {
		return nil
	}
	l := life{soft: part(wholeMillis(f.SoftTTL), share), due: hard}
	if l.soft > 0 && hard > 0 && l.soft >= hard {
		l.soft = 0
	}
	if l.soft > 0 {
		l.due = l.soft
	}
	if hard > 0 && f.StaleIfError > 0 {
		l.hard, l.patience = hard, wholeMillis(f.SoftTimeout)
	}
	if l.due > 0 {
		l.spread = spreadOf(took, f.RefreshAhead)
	}
	if l.soft > 0 || l.hard > 0 || l.spread > 0 || etag != "" {
		o.aging = &aging{life: l, born: now, etag: etag}
	}
	return nil
}

// part returns a share of d, in whole milliseconds.
func part(d time.Duration, share float64) time.Duration {
	if share == 1 {
		return d
	}
	return min(d, wholeMillis(time.Duration(float64(d)*share)))
}

func spreadOf(took time.Duration, beta float64) time.Duration {
	if spread := float64(took) * beta; spread < float64(MaxTTL) {
		return time.Duration(spread)
	}
	return MaxTTL
}

// An aging value has after its frame: one byte that says in what form, the time
// it was stored, in milliseconds since 1970, its life in milliseconds, except
// spread, in microseconds, the length of its ETag, all as varints, and that.
const agingForm byte = 1

var errAging = errors.New("larder: damaged or unknown life of a typed entry")

func (a *aging) appendTo(dst []byte) []byte {
	dst = append(dst, agingForm)
	for _, n := range [...]int64{
		a.born.UnixMilli(), a.soft.Milliseconds(), a.hard.Milliseconds(), a.due.Milliseconds(), a.spread.Microseconds(),
		a.patience.Milliseconds(), int64(len(a.etag)),
	} {
		dst = binary.AppendUvarint(dst, uint64(max(n, 0)))
	}
	return append(dst, a.etag...)
}

// written is an aging as it was encoded, before anything is made of it.
type written struct {
	life
	born int64
	etag []byte // of the encoded entry
	ages bool
}

// readAging reads what appendTo wrote, and returns what follows it.
func readAging(data []byte) (w written, rest []byte, err error) {
	if len(data) == 0 || data[0] != agingForm {
		return w, nil, errAging
	}
	data = data[1:]
	var numbers [7]int64
	for i := range numbers {
		n, size := binary.Uvarint(data)
		if size <= 0 || n > uint64(MaxTTL) { // enough for any time in milliseconds, too
			return w, nil, errAging
		}
		numbers[i], data = int64(n), data[size:]
	}
	for i, d := range [...]*time.Duration{&w.soft, &w.hard, &w.due, &w.spread, &w.patience} {
		unit := time.Millisecond
		if d == &w.spread {
			unit = time.Microsecond
		}
		if *d = time.Duration(numbers[i+1]); *d > MaxTTL/unit {
			return w, nil, errAging
		}
		*d *= unit
	}
	length := numbers[6]
	if length > int64(len(data)) {
		return w, nil, errAging
	}
	w.born, w.etag, w.ages = numbers[0], data[:length], true
	return w, data[length:], nil
}

// see tells what the value is now. Who stored it may have another clock.
func (w *written) see() sight {
	if !w.ages {
		return sight{at: atValue}
	}
	age := min(max(time.Now().UnixMilli()-w.born, 0), MaxTTL.Milliseconds())
	return w.life.see(time.Duration(age) * time.Millisecond)
}
