package cachetest

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/larder-go/larder/cache"
)

func sabotages() []sabotage {
	return slices.Concat(
		basicSabotages(), inputSabotages(), expirySabotages(), slidingSabotages(), batchSabotages(),
		counterSabotages(), objectSabotages(), leaseSabotages(), leaseVoidSabotages(), otherSabotages(), exclusiveSabotages(),
		versionSabotages(), changeSabotages(), lockSabotages(), handleSabotages(), dropSabotages(), suspensionSabotages(), forceSabotages(),
		markSabotages(), endSabotages(),
		explainSabotages(),
		orderSabotages(), objectChangeSabotages(),
		regionSabotages(), stampSabotages(), agingSabotages(),
	)
}

// namesWith returns the names of the cases that begin so.
func namesWith(prefixes ...string) []string {
	var names []string
	for _, tc := range cases() {
		for _, p := range prefixes {
			if strings.HasPrefix(tc.name, p) {
				names = append(names, tc.name)
			}
		}
	}
	return names
}

// mapKeys makes the four methods confuse keys.
func mapKeys(f func(string) string) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.get = func(ctx context.Context, key string) ([]byte, bool, error) { return m.Get(ctx, f(key)) }
		b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
			return m.Set(ctx, f(key), value, o)
		}
		b.remove = func(ctx context.Context, key string) error { return m.Remove(ctx, f(key)) }
	}
}

// mapValue makes Set store something else.
func mapValue(f func([]byte) []byte) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
			return m.Set(ctx, key, f(value), o)
		}
	}
}

// peek changes what is stored under key, behind the model's back.
func (m *Model) peek(key string, change func(*modelEntry)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entries[key]; e != nil {
		change(e)
	}
}

func basicSabotages() []sabotage {
	return []sabotage{
		{"reports a miss as an error", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				value, found, err := m.Get(ctx, key)
				if !found && err == nil {
					err = cache.ErrNotFound
				}
				return value, found, err
			}
		}, []string{"Get/MissIsNoError"}},
		{"has one entry for all keys", mapKeys(func(string) string { return "x" }), []string{"Set/Stores"}},
		{"keeps the first value", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				if _, found, _ := m.Get(ctx, key); found {
					return nil
				}
				return m.Set(ctx, key, value, o)
			}
		}, []string{"Set/Replaces"}},
		{"forgets to remove", func(_ *Model, b *broken) {
			b.remove = func(context.Context, string) error { return nil }
		}, []string{"Remove/Removes"}},
		{"resurrects by Refresh", func(m *Model, b *broken) {
			last := make(map[string][]byte)
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				last[key] = bytes.Clone(value)
				return m.Set(ctx, key, value, o)
			}
			b.refresh = func(ctx context.Context, key string) error {
				if _, found, _ := m.Get(ctx, key); !found && last[key] != nil {
					return m.Set(ctx, key, last[key], cache.EntryOptions{})
				}
				return m.Refresh(ctx, key)
			}
		}, []string{"Remove/StaysRemoved", "Expiry/ExpiredStaysGone"}},
		{"reports the removal of nothing", func(m *Model, b *broken) {
			b.remove = func(ctx context.Context, key string) error {
				if _, found, _ := m.Get(ctx, key); !found {
					return cache.ErrNotFound
				}
				return m.Remove(ctx, key)
			}
		}, []string{"Remove/MissingIsNoError"}},
		{"keeps tombstones for good", func(m *Model, b *broken) {
			dead := make(map[string]bool)
			b.remove = func(ctx context.Context, key string) error { dead[key] = true; return m.Remove(ctx, key) }
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				if dead[key] {
					return nil
				}
				return m.Set(ctx, key, value, o)
			}
		}, []string{"Remove/ThenSetStores"}},
		{"reports the refresh of nothing", func(m *Model, b *broken) {
			b.refresh = func(ctx context.Context, key string) error {
				if _, found, _ := m.Get(ctx, key); !found {
					return cache.ErrNotFound
				}
				return nil
			}
		}, []string{"Refresh/MissingIsNoError"}},
		{"writes the value again as text", func(m *Model, b *broken) {
			b.refresh = func(ctx context.Context, key string) error {
				m.peek(key, func(e *modelEntry) { e.bytes, _, _ = bytes.Cut(e.bytes, []byte{0}) })
				return nil
			}
		}, []string{"Refresh/KeepsValue"}},
		{"cuts values at NUL", mapValue(func(v []byte) []byte {
			before, _, _ := bytes.Cut(v, []byte{0})
			return before
		}), []string{"Value/ByteExact"}},
		{"repairs text", mapValue(func(v []byte) []byte { return bytes.ToValidUTF8(v, []byte("?")) }), []string{"Value/ByteExact"}},
		{"returns nil for an empty value", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				value, found, err := m.Get(ctx, key)
				if len(value) == 0 {
					value = nil
				}
				return value, found, err
			}
		}, []string{"Value/EmptyIsAValue"}},
		{"stores nil as empty", mapValue(func(v []byte) []byte { return append([]byte{}, v...) }), []string{"Value/NilIsRefused"}},
		{"cuts large values", mapValue(func(v []byte) []byte { return v[:min(len(v), 1<<16-1)] }), []string{"Value/Large"}},
		{"takes values of any size", func(*Model, *broken) {}, []string{"Value/TooLargeIsRefused"}},
		{"keeps the caller's slice", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				err := m.Set(ctx, key, value, o)
				m.peek(key, func(e *modelEntry) { e.bytes = value })
				return err
			}
		}, []string{"Value/SetCopies"}},
		{"hands out its own slice", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) (value []byte, found bool, err error) {
				_, found, err = m.Get(ctx, key)
				m.peek(key, func(e *modelEntry) { value = e.bytes })
				return value, found, err
			}
		}, []string{"Value/GetCopies"}},
	}
}

func inputSabotages() []sabotage {
	return []sabotage{
		{"trims keys", mapKeys(strings.TrimSpace), []string{"Key/ByteExact"}},
		{"cuts keys at NUL", mapKeys(func(k string) string { before, _, _ := strings.Cut(k, "\x00"); return before }), []string{"Key/ByteExact"}},
		{"repairs keys", mapKeys(func(k string) string { return strings.ToValidUTF8(k, "?") }), []string{"Key/ByteExact"}},
		{"folds case", mapKeys(strings.ToLower), []string{"Key/CaseMatters", "Key/ByteExact"}},
		{"cuts long keys", mapKeys(func(k string) string { return k[:min(len(k), cache.MaxKeyLength-1)] }), []string{"Key/Longest"}},
		{"refreshes any key", func(_ *Model, b *broken) {
			b.refresh = func(context.Context, string) error { return nil }
		}, []string{"Key/EmptyIsRefused", "Key/ReservedIsRefused", "Key/JustReservedIsRefused", "Key/TooLongIsRefused"}},
		{"does not look at its context", func(m *Model, b *broken) {
			b.set = func(_ context.Context, key string, value []byte, o cache.EntryOptions) error {
				return m.Set(context.Background(), key, value, o)
			}
		}, namesWith("Context/")},
		{"returns the context's cause", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				if ctx != nil && ctx.Err() != nil {
					return nil, false, context.Cause(ctx)
				}
				return m.Get(ctx, key)
			}
		}, []string{"Context/CancelledIsRefused"}},
		{"stores before it looks at its context", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				if err := m.Set(context.Background(), key, value, o); err != nil {
					return err
				}
				return cache.CheckContext(ctx)
			}
		}, namesWith("Context/")},
		{"ignores bad options", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				if _, _, err := o.Resolve(cache.EntryOptions{}, time.Now()); err != nil {
					o = cache.EntryOptions{}
				}
				return m.Set(ctx, key, value, o)
			}
		}, namesWith("Options/")},
		{"drops the older entry before it checks", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				_ = m.Remove(ctx, key)
				return m.Set(ctx, key, value, o)
			}
		}, append(namesWith("Options/"), "Value/NilIsRefused")},
		{"does not say which option", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				if _, _, err := o.Resolve(cache.EntryOptions{}, time.Now()); err != nil {
					return cache.ErrInvalidTTL
				}
				return m.Set(ctx, key, value, o)
			}
		}, namesWith("Options/")},
	}
}

// mapOptions makes Set understand its options in another way.
func mapOptions(f func(cache.EntryOptions) cache.EntryOptions) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
			return m.Set(ctx, key, value, f(o))
		}
	}
}

// afterSet changes an entry that was just stored.
func afterSet(change func(e *modelEntry, o cache.EntryOptions)) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
			err := m.Set(ctx, key, value, o)
			if err == nil {
				m.peek(key, func(e *modelEntry) { change(e, o) })
			}
			return err
		}
	}
}

func expirySabotages() []sabotage {
	return []sabotage{
		{"forgets lifetimes", afterSet(func(e *modelEntry, _ cache.EntryOptions) { e.deadline, e.window = time.Time{}, 0 }),
			append(namesWith("Expiry/TTLOf", "Expiry/WindowOf", "Sliding/Never", "Sliding/Ends"),
				"Expiry/TTL", "Expiry/Absolute", "Set/ReplacesLongerTTL", "Set/ReplacesNoExpiry", "GetMany/Expired", "Lease/AfterExpiry")},
		{"ends entries a millisecond late", afterSet(func(e *modelEntry, _ cache.EntryOptions) {
			if e.window > 0 {
				e.window += time.Millisecond
			}
			if !e.deadline.IsZero() {
				e.deadline = e.deadline.Add(time.Millisecond)
			}
		}), append(namesWith("Expiry/TTLOf", "Expiry/WindowOf"), "Expiry/RemainderRoundsUp")},
		{"ends entries a millisecond early", afterSet(func(e *modelEntry, _ cache.EntryOptions) {
			if !e.deadline.IsZero() {
				e.deadline = e.deadline.Add(-time.Millisecond)
			}
		}), append(namesWith("Expiry/TTLOf"), "Expiry/RemainderRoundsUp")},
		{"has whole seconds only", mapOptions(func(o cache.EntryOptions) cache.EntryOptions {
			if o.TTL > 0 {
				o.TTL = max(o.TTL.Truncate(time.Second), time.Millisecond)
			}
			return o
		}), []string{"Expiry/TTLOfSubSecond", "Expiry/TTLOfOneAndAHalfSeconds"}},
		{"lets the absolute time win", mapOptions(func(o cache.EntryOptions) cache.EntryOptions {
			if !o.AbsoluteExpiration.IsZero() {
				o.TTL = 0
			}
			return o
		}), []string{"Expiry/EarlierTTLWins"}},
		{"lets the TTL win", mapOptions(func(o cache.EntryOptions) cache.EntryOptions {
			if o.TTL > 0 {
				o.AbsoluteExpiration = time.Time{}
			}
			return o
		}), []string{"Expiry/EarlierAbsoluteWins"}},
		{"slides every TTL", mapOptions(func(o cache.EntryOptions) cache.EntryOptions {
			if o.TTL > 0 && o.SlidingExpiration == 0 {
				o.SlidingExpiration, o.TTL = o.TTL, 0
			}
			return o
		}), []string{"Expiry/GetDoesNotMoveTTL", "Expiry/RefreshDoesNotMoveTTL"}},
		{"keeps the older TTL", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				var old *modelEntry
				m.peek(key, func(e *modelEntry) { old = e })
				err := m.Set(ctx, key, value, o)
				if old != nil {
					m.peek(key, func(e *modelEntry) { e.deadline, e.window = old.deadline, old.window })
				}
				return err
			}
		}, namesWith("Set/ReplacesOlder", "Set/ReplacesLonger", "Set/ReplacesNo", "Set/WithoutOptions")},
		{"lets old timers end new entries", func(m *Model, b *broken) {
			ends := make(map[string]time.Time)
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				if end := time.Now().Add(o.TTL); o.TTL > 0 && (ends[key].IsZero() || end.Before(ends[key])) {
					ends[key] = end
				}
				return m.Set(ctx, key, value, o)
			}
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				if end := ends[key]; !end.IsZero() && !time.Now().Before(end) {
					_ = m.Remove(ctx, key)
				}
				return m.Get(ctx, key)
			}
		}, []string{"Set/AfterRemoveHasItsOwnTTL", "Set/ReplacesOlderTTL"}},
		{"takes NoExpiry for the default", mapOptions(func(o cache.EntryOptions) cache.EntryOptions {
			if o.TTL == cache.NoExpiry {
				o.TTL = 0
			}
			return o
		}), []string{"Expiry/NoExpiry"}},
		{"keeps entries without options for good", mapOptions(func(o cache.EntryOptions) cache.EntryOptions {
			if o.TTL == 0 && o.SlidingExpiration == 0 && o.AbsoluteExpiration.IsZero() {
				o.TTL = cache.NoExpiry
			}
			return o
		}), []string{"Expiry/DefaultTTL", "Set/WithoutOptionsReplacesNoExpiry"}},
	}
}

// still runs a call and puts the time of the last read back.
func still(m *Model, key string, call func()) {
	var last time.Time
	m.peek(key, func(e *modelEntry) { last = e.lastRead })
	call()
	m.peek(key, func(e *modelEntry) { e.lastRead = last })
}

func slidingSabotages() []sabotage {
	return []sabotage{
		{"does not slide by Get", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) (value []byte, found bool, err error) {
				still(m, key, func() { value, found, err = m.Get(ctx, key) })
				return value, found, err
			}
		}, []string{"Sliding/GetMoves", "Sliding/EarlyGetMoves"}},
		{"slides late in the window only", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) (value []byte, found bool, err error) {
				early := false
				m.peek(key, func(e *modelEntry) { early = time.Since(e.lastRead) < e.window/2 })
				if !early {
					return m.Get(ctx, key)
				}
				still(m, key, func() { value, found, err = m.Get(ctx, key) })
				return value, found, err
			}
		}, []string{"Sliding/EarlyGetMoves"}},
		{"loses a Refresh", func(m *Model, b *broken) {
			n := 0
			b.refresh = func(ctx context.Context, key string) error {
				if n++; n == 2 {
					return nil
				}
				return m.Refresh(ctx, key)
			}
		}, []string{"Sliding/RefreshMoves"}},
		{"prolongs by Refresh", func(m *Model, b *broken) {
			b.refresh = func(ctx context.Context, key string) error {
				m.peek(key, func(e *modelEntry) { e.lastRead = e.lastRead.Add(e.window) })
				return nil
			}
		}, []string{"Sliding/EndsExactlyAfterRefresh"}},
		{"moves deadlines by Refresh", func(m *Model, b *broken) {
			b.refresh = func(ctx context.Context, key string) error {
				m.peek(key, func(e *modelEntry) { e.deadline = time.Now().Add(time.Hour) })
				return m.Refresh(ctx, key)
			}
		}, []string{"Expiry/RefreshDoesNotMoveTTL", "Sliding/RefreshNeverPastAbsolute"}},
		{"slides past the deadline", afterSet(func(e *modelEntry, _ cache.EntryOptions) {
			if e.window > 0 {
				e.deadline = time.Time{}
			}
		}), append(namesWith("Sliding/Never"), "Sliding/WindowLongerThanTTL", "Sliding/RefreshNeverPastAbsolute")},
		{"forgets windows", afterSet(func(e *modelEntry, _ cache.EntryOptions) { e.window = 0 }), []string{"Sliding/EndsUnread", "Sliding/GetMoves"}},
		{"keeps the older window", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				window := time.Duration(0)
				m.peek(key, func(e *modelEntry) { window = e.window })
				err := m.Set(ctx, key, value, o)
				m.peek(key, func(e *modelEntry) { e.window = max(e.window, window) })
				return err
			}
		}, []string{"Set/ReplacesOlderSliding"}},
		{"slides all entries at once", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				m.mu.Lock()
				for _, e := range m.entries {
					e.lastRead = time.Now()
				}
				m.mu.Unlock()
				return m.Get(ctx, key)
			}
		}, []string{"Sliding/ReadOfAnotherKeyDoesNotMove"}},
	}
}
