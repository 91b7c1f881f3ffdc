package distributed_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/envelope"
)

// arranged is a key in a state that a test wants: its version and the handle of
// its lock, where it has them.
type arranged struct {
	key     string
	version cache.Version
	handle  cache.LockHandle
}

// wrong is what a has not.
func (a arranged) wrong() arranged {
	return arranged{a.key, cache.Version{1}, cache.LockHandle{1}}
}

// arrange makes a key in this state. Every value is "old", and lives an hour.
func (s server) arrange(t *testing.T, state string) arranged {
	t.Helper()
	ctx := t.Context()
	a := arranged{key: "key"}
	must(t, s.client.Del(ctx, s.prefix+a.key).Err())
	var err error
	add := func() {
		a.version, err = s.Add(ctx, a.key, []byte("old"), cache.EntryOptions{TTL: time.Hour})
		must(t, err)
	}
	switch state {
	case "absent":
	case "value":
		add()
	case "locked":
		add()
		_, a.handle, err = s.GetAndLock(ctx, a.key, time.Minute, cache.LockOptions{})
		must(t, err)
	case "lapsed": // the lock has run out, its bytes are there
		add()
		_, a.handle, err = s.GetAndLock(ctx, a.key, time.Millisecond, cache.LockOptions{})
		must(t, err)
		s.await(t, a.key, "old")
	case "held": // a forced lock
		_, a.handle, err = s.GetAndLock(ctx, a.key, time.Minute, cache.LockOptions{Force: true})
		must(t, err)
	case "lease":
		lease(t, s, a.key)
	case "marked":
		must(t, second(s.BeginWrite(ctx, a.key, time.Hour)))
	case "torn": // a mark that is damaged
		must(t, second(s.BeginWrite(ctx, a.key, time.Hour)))
		raw := s.stored(t, a.key)
		s.raw(t, a.key, raw[:len(raw)-1])
	case "lent": // a mark of another key
		must(t, second(s.BeginWrite(ctx, "another", time.Hour)))
		s.raw(t, a.key, s.stored(t, "another"))
	case "stamped", "expired": // a value with a token
		a.version, err = s.Add(ctx, a.key, []byte("old"), cache.EntryOptions{TTL: time.Hour, Tokens: []cache.Token{shoe}})
		must(t, err)
		if state == "expired" {
			must(t, s.ExpireTokens(ctx, shoe))
		}
	case "counter":
		_, err = s.Increment(ctx, a.key, 1, forever)
		must(t, err)
	case "foreign":
		s.raw(t, a.key, "text")
	case "list":
		must(t, s.client.RPush(ctx, s.prefix+a.key, "x").Err())
	case "damaged": // so that its header shows it
		add()
		raw := s.stored(t, a.key)
		s.raw(t, a.key, raw[:len(raw)-1])
	case "another's":
		must(t, s.Set(ctx, "another", []byte("old"), forever))
		s.raw(t, a.key, s.stored(t, "another"))
	default:
		t.Fatalf("no state %q", state)
	}
	return a
}

// await waits until the key is in this state.
func (s server) await(t *testing.T, key, state string) {
	t.Helper()
	for end := time.Now().Add(patient); s.state(t, key) != state; {
		if time.Now().After(end) {
			t.Fatalf("got state %s, want %s", s.state(t, key), state)
		}
	}
}

// state describes what is under key: a value by itself, with "!" if a lock
// stands on it.
func (s server) state(t *testing.T, key string) string {
	t.Helper()
	raw, err := s.client.Get(t.Context(), s.prefix+key).Result()
	if errors.Is(err, redis.Nil) {
		return "absent"
	}
	if err != nil {
		return "list"
	}
	now, err := s.client.Time(t.Context()).Result()
	must(t, err)
	h, payload, err := envelope.Decode([]byte(raw), envelope.Digest(s.prefix+key))
	switch {
	case raw == "1" || raw == "2":
		return "counter"
	case errors.Is(err, envelope.ErrForeign):
		return "foreign"
	case errors.Is(err, envelope.ErrOtherKey) && raw[4] == 'M':
		return "lent"
	case errors.Is(err, envelope.ErrOtherKey):
		return "another's"
	case err != nil && raw[4] == 'M':
		return "torn"
	case err != nil:
		return "damaged"
	case h.Kind == envelope.Mark:
		return "marked"
	case h.Kind == envelope.Lease:
		return "lease"
	case h.Kind == envelope.Hold:
		return "held"
	case h.Kind == envelope.Locked && h.Lock.Until > now.UnixMilli():
		return string(payload) + "!"
	}
	return string(payload)
}

var errFalse = errors.New("it reported false")

// outcomes are the names of what a call may return.
var outcomes = map[string]error{
	"ok": nil, "false": errFalse, "none": cache.ErrNoEntry, "exists": cache.ErrExists, "version": cache.ErrVersionMismatch,
	"locked": cache.ErrLocked, "unlocked": cache.ErrNotLocked, "handle": cache.ErrInvalidHandle,
	"type": cache.ErrWrongType, "lost": cache.ErrLeaseLost,
	"marked": cache.ErrBeingWritten, "overlapped": cache.ErrWriteOverlapped,
}

func reported(did bool, err error) error {
	if err == nil && !did {
		return errFalse
	}
	return err
}

// unchanged is the state that a refused call leaves.
func unchanged(state string) string {
	switch state {
	case "value", "lapsed", "stamped", "expired":
		return "old"
	case "locked":
		return "old!"
	}
	return state
}

// row says what one call does in every state of a key: what it returns, and what
// is there afterwards. A cell is state:outcome=afterwards; no afterwards means
// that nothing changed; "*" is every state that has no cell of its own, "?" that
// there is no right version or handle in this state.
type row struct {
	name  string
	wrong bool // the version and the handle are
	cells string
	do    func(ctx context.Context, a arranged) error
}

var (
	stateValue = []byte("new")
	stateOpts  = cache.EntryOptions{TTL: time.Hour}
)

// plainRows are the calls that know nothing of versions and locks.
func (s server) plainRows() []row {
	return []row{
		{"Get", false, "value:ok locked:ok lapsed:ok counter:type *:false",
			func(ctx context.Context, a arranged) error { return reported2(s.Get(ctx, a.key)) }},
		{"Set", false, "*:ok=new",
			func(ctx context.Context, a arranged) error { return s.Set(ctx, a.key, stateValue, stateOpts) }},
		{"SetMany", false, "*:ok=new",
			func(ctx context.Context, a arranged) error {
				return s.SetMany(ctx, []cache.Item{{Key: a.key, Value: stateValue, Options: stateOpts}})
			}},
		{"Fill", false, "*:lost",
			func(ctx context.Context, a arranged) error {
				return s.Set(ctx, a.key, stateValue, fillWith(cache.Lease{1}))
			}},
		{"Remove", false, "marked:ok *:ok=absent",
			func(ctx context.Context, a arranged) error { return s.Remove(ctx, a.key) }},
		{"RemoveMany", false, "marked:ok *:ok=absent",
			func(ctx context.Context, a arranged) error { return s.RemoveMany(ctx, []string{a.key}) }},
		{"Refresh", false, "*:ok",
			func(ctx context.Context, a arranged) error { return s.Refresh(ctx, a.key) }},
		{"Release", false, "*:ok",
			func(ctx context.Context, a arranged) error { return s.Release(ctx, a.key, cache.Lease(a.handle)) }},
		{"Increment", false, "absent:ok=counter lease:ok=counter marked:ok=counter lent:ok=counter held:ok=counter counter:ok *:type",
			func(ctx context.Context, a arranged) error { return second(s.Increment(ctx, a.key, 1, forever)) }},
	}
}

func (s server) versionRows() []row {
	compareAndSet := func(ctx context.Context, a arranged) error {
		return second(s.CompareAndSet(ctx, a.key, stateValue, a.version, stateOpts))
	}
	removeVersion := func(ctx context.Context, a arranged) error { return reported(s.RemoveVersion(ctx, a.key, a.version)) }
	return []row{
		{"GetItem", false, "value:ok locked:ok lapsed:ok counter:type *:false",
			func(ctx context.Context, a arranged) error { return reported2(s.GetItem(ctx, a.key)) }},
		{"GetIfNewer", false, "value:ok locked:ok lapsed:ok counter:type *:false",
			func(ctx context.Context, a arranged) error {
				_, newer, found, err := s.GetIfNewer(ctx, a.key, cache.Version{1})
				return reported(newer && found, err)
			}},
		{"Add", false, "value:exists locked:exists lapsed:exists counter:type foreign:type list:type marked:marked *:ok=new",
			func(ctx context.Context, a arranged) error { return second(s.Add(ctx, a.key, stateValue, stateOpts)) }},
		{"CompareAndSet", false, "value:ok=new locked:ok=new lapsed:ok=new damaged:none *:?", compareAndSet},
		{"CompareAndSet", true, "value:version locked:version lapsed:version counter:type *:none", compareAndSet},
		{"RemoveVersion", false, "value:ok=absent locked:ok=absent lapsed:ok=absent damaged:false *:?", removeVersion},
		{"RemoveVersion", true, "counter:type *:false", removeVersion},
	}
}

func (s server) lockRows() []row {
	lock := func(force bool) func(ctx context.Context, a arranged) error {
		return func(ctx context.Context, a arranged) error {
			_, _, err := s.GetAndLock(ctx, a.key, time.Minute, cache.LockOptions{Force: force})
			return err
		}
	}
	put := func(ctx context.Context, a arranged) error {
		return second(s.PutAndUnlock(ctx, a.key, stateValue, a.handle, stateOpts))
	}
	unlock := func(ttl time.Duration) func(ctx context.Context, a arranged) error {
		return func(ctx context.Context, a arranged) error { return s.Unlock(ctx, a.key, a.handle, ttl) }
	}
	remove := func(ctx context.Context, a arranged) error { return reported(s.RemoveLocked(ctx, a.key, a.handle)) }
	return []row{
		{"GetAndLock", false, "value:ok=old! locked:locked lapsed:ok=old! held:locked counter:type *:none", lock(false)},
		{"GetAndLock forced", false,
			"value:ok=old! locked:locked lapsed:ok=old! held:locked counter:type foreign:type list:type *:ok=held", lock(true)},
		{"PutAndUnlock", false, "lapsed:unlocked locked:ok=new held:ok=new *:?", put},
		{"PutAndUnlock", true, "value:unlocked lapsed:unlocked locked:handle held:handle counter:type *:none", put},
		{"Unlock", false, "lapsed:unlocked locked:ok=old held:ok=absent *:?", unlock(0)},
		{"Unlock to live", false, "lapsed:unlocked locked:ok=old held:ok=absent *:?", unlock(time.Hour)},
		{"Unlock for ever", false, "lapsed:unlocked locked:ok=old held:ok=absent *:?", unlock(cache.NoExpiry)},
		{"Unlock", true, "value:unlocked lapsed:unlocked locked:handle held:handle counter:type *:none", unlock(0)},
		{"RemoveLocked", false, "locked:ok=absent held:false=absent lapsed:false *:?", remove},
		{"RemoveLocked", true, "counter:type *:false", remove},
		{"ResetTTL", false, "value:ok locked:ok lapsed:ok counter:type *:none",
			func(ctx context.Context, a arranged) error { return s.ResetTTL(ctx, a.key, time.Hour) }},
	}
}

// markRows are the calls of a writer. It is none of those that are there.
func (s server) markRows() []row {
	other := cache.WriteMark{Writer: [16]byte{1}, Epoch: [16]byte{1}}
	return []row{
		{"BeginWrite", false, "*:ok=marked",
			func(ctx context.Context, a arranged) error { return second(s.BeginWrite(ctx, a.key, time.Minute)) }},
		{"EndWrite", false, "marked:ok *:ok=absent",
			func(ctx context.Context, a arranged) error { return s.EndWrite(ctx, a.key, other) }},
		{"Set with Mark", false, "marked:overlapped *:overlapped=absent",
			func(ctx context.Context, a arranged) error {
				return s.Set(ctx, a.key, stateValue, cache.EntryOptions{TTL: time.Hour, Mark: other})
			}},
		{"SetMany with Mark", false, "marked:overlapped *:overlapped=absent",
			func(ctx context.Context, a arranged) error {
				return s.SetMany(ctx, []cache.Item{{Key: a.key, Value: stateValue, Options: cache.EntryOptions{Mark: other}}})
			}},
	}
}

// testStates tries every call in every state of a key.
func testStates(t *testing.T, s server) {
	for _, row := range slices.Concat(s.plainRows(), s.versionRows(), s.lockRows(), s.markRows()) {
		for _, state := range strings.Fields("absent value locked lapsed held lease marked torn lent counter foreign list damaged another's stamped expired") {
			outcome, after := cellOf(row.cells, state)
			switch {
			case state == "stamped": // is like any value
				outcome, after = cellOf(row.cells, "value")
			case state == "expired" && row.name == "Increment":
				outcome, after = cellOf(row.cells, "absent")
			case state == "expired": // is there no more than what is damaged
				if outcome, after = cellOf(row.cells, "damaged"); after == "damaged" {
					after = "old"
				}
			}
			if outcome == "?" {
				continue
			}
			t.Run(fmt.Sprint(row.name, "/", state, "/", row.wrong), func(t *testing.T) {
				a := s.arrange(t, state)
				if row.wrong {
					a = a.wrong()
				}
				if err := row.do(t.Context(), a); !errors.Is(err, outcomes[outcome]) {
					t.Errorf("got %v, want %s", err, outcome)
				}
				if got := s.state(t, a.key); got != after {
					t.Errorf("afterwards it is %s, want %s", got, after)
				}
			})
		}
	}
}

func reported2[T any](_ T, found bool, err error) error { return reported(found, err) }

// cellOf returns what a row of testStates wants in a state.
func cellOf(cells, state string) (outcome, after string) {
	after = unchanged(state)
	for _, cell := range strings.Fields(cells) {
		of, want, _ := strings.Cut(cell, ":")
		if of != state && of != "*" {
			continue
		}
		outcome, want, changed := strings.Cut(want, "=")
		if changed {
			after = want
		}
		return outcome, after
	}
	return "", after
}
