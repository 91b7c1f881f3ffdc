package cachetest

import (
	"context"
	"crypto/rand"
	"math"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
)

// Model is the contract of package cache written as plainly as possible: one
// mutex, one map, every rule where it applies. It is what [Check] compares a
// cache with, and it does everything a cache can do, so it also serves as a
// small cache in tests. It never evicts and never forgets to expire, frees
// memory only when a key is used again, and is not meant to be fast.
//
// It tells time by time.Now, and thus by virtual time in a synctest bubble.
type Model struct {
	// Immutable.
	defaults    cache.EntryOptions
	coordinator *cache.Coordinator

	mu      sync.Mutex
	closed  bool
	entries map[string]*modelEntry
	leases  map[string]modelLease
	locks   map[string]modelLock // with an entry or, if forced, without one
	marks   map[string]*modelMark
	fence   uint64 // of the last lock
	regions modelRegions
	stats   cache.Stats
}

// modelEntry is a value, a counter or an object, and when it ends.
type modelEntry struct {
	kind     entryKind
	bytes    []byte
	count    int64
	object   any
	version  cache.Version
	order    uint64        // as SetIfNewer was given it; 0: none
	deadline time.Time     // zero: none
	window   time.Duration // of the sliding expiration; 0: none
	lastRead time.Time
	tokens   []cache.Token // each once
	stamped  uint64        // how many expirations there had been
}

type entryKind uint8

const (
	kindBytes entryKind = iota
	kindCounter
	kindObject
)

type modelLease struct {
	token cache.Lease
	until time.Time
}

var _ interface {
	cache.Backend
	cache.Batcher
	cache.Counter
	cache.Objects
	cache.Leaser
	cache.Appender
	cache.Clearer
	cache.Coordinated
	cache.Versioner
	cache.Locker
	cache.WriteMarker
	cache.Explainer
	cache.Ordered
	cache.ObjectVersioner
	cache.ObjectLocker
	cache.Regions
} = (*Model)(nil)

// NewModel returns an empty model. The zero defaults mean those of package
// cache.
func NewModel(defaults cache.EntryOptions) *Model {
	return &Model{
		defaults:    defaults,
		coordinator: cache.NewCoordinator(nil),
		entries:     make(map[string]*modelEntry),
		leases:      make(map[string]modelLease),
		locks:       make(map[string]modelLock),
		marks:       make(map[string]*modelMark),
		regions:     modelRegions{expired: make(map[cache.Token]uint64)},
	}
}

// alive says when an entry without a lock is gone: at its deadline, or when
// nobody read it for a whole window, and not a moment later.
func (e *modelEntry) alive(now time.Time) bool {
	if !e.deadline.IsZero() && !now.Before(e.deadline) {
		return false
	}
	return e.window == 0 || now.Sub(e.lastRead) < e.window
}

// findLocked returns the live entry under key, or nil.
func (m *Model) findLocked(key string) *modelEntry {
	e, ok := m.entries[key]
	if ok && m.expiredAfterLocked(e.stamped, e.tokens) {
		m.dropLocked(key)
		return nil
	}
	if ok && !e.alive(time.Now()) && !m.lockedLocked(key) {
		delete(m.entries, key)
		return nil
	}
	return e
}

// begin checks what every call checks first, and locks unless it refuses.
func (m *Model) begin(ctx context.Context, key string) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	if err := cache.CheckKey(key); err != nil {
		return err
	}
	return m.lockOpen()
}

func (m *Model) lockOpen() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return cache.ErrClosed
	}
	return nil
}

// read finds the entry of a kind. Another kind is an error and changes nothing;
// a hit restarts the sliding window.
func (m *Model) read(ctx context.Context, key string, kind entryKind) (modelEntry, bool, error) {
	if err := m.begin(ctx, key); err != nil {
		return modelEntry{}, false, err
	}
	defer m.mu.Unlock()
	e := m.findLocked(key)
	if e == nil {
		m.stats.Misses++
		return modelEntry{}, false, nil
	}
	if e.kind != kind {
		return modelEntry{}, false, cache.ErrWrongType
	}
	m.stats.Hits++
	e.lastRead = time.Now()
	return *e, true, nil
}

// Get implements cache.Cache.
func (m *Model) Get(ctx context.Context, key string) ([]byte, bool, error) {
	e, found, err := m.read(ctx, key, kindBytes)
	if !found {
		return nil, false, err
	}
	return append(make([]byte, 0, len(e.bytes)), e.bytes...), true, nil
}

// AppendTo implements cache.Appender.
func (m *Model) AppendTo(ctx context.Context, dst []byte, key string) ([]byte, bool, error) {
	e, found, err := m.read(ctx, key, kindBytes)
	if !found {
		return dst, false, err
	}
	return append(dst, e.bytes...), true, nil
}

// GetObject implements cache.Objects.
func (m *Model) GetObject(ctx context.Context, key string) (any, bool, error) {
	e, found, err := m.read(ctx, key, kindObject)
	return e.object, found, err
}

// Count implements cache.Counter.
func (m *Model) Count(ctx context.Context, key string) (int64, bool, error) {
	e, found, err := m.read(ctx, key, kindCounter)
	return e.count, found, err
}

// Set implements cache.Cache.
func (m *Model) Set(ctx context.Context, key string, value []byte, opts cache.EntryOptions) error {
	if value == nil {
		return cache.ErrNilValue
	}
	copied := append(make([]byte, 0, len(value)), value...)
	return m.store(ctx, key, modelEntry{kind: kindBytes, bytes: copied}, opts)
}

// SetObject implements cache.Objects.
func (m *Model) SetObject(ctx context.Context, key string, value any, opts cache.EntryOptions) error {
	if value == nil {
		return cache.ErrNilValue
	}
	return m.store(ctx, key, modelEntry{kind: kindObject, object: value}, opts)
}

// store replaces what is under key, expiration included, and voids its lease.
// A fill does so only if its lease still stands, and the end of a write only if
// its mark does.
func (m *Model) store(ctx context.Context, key string, e modelEntry, opts cache.EntryOptions) error {
	fill := opts.Lease != cache.Lease{}
	if !fill {
		m.coordinator.Invalidate(key)
		defer m.coordinator.Invalidate(key)
	}
	if err := m.begin(ctx, key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	now := time.Now()
	_, life, err := opts.Resolve(m.defaults, now)
	if err != nil {
		return err
	}
	if err := m.stampLocked(&e, opts); err != nil {
		return err
	}
	if fill && !m.standsLocked(key, opts.Lease) {
		return cache.ErrLeaseLost
	}
	if opts.Mark != (cache.WriteMark{}) && !m.spendLocked(key, opts.Mark) {
		return cache.ErrWriteOverlapped
	}
	m.putLocked(key, e, life, now)
	m.stats.Sets++
	return nil
}

// putLocked replaces what is under key. That makes a version, voids the lease
// and drops the lock.
func (m *Model) putLocked(key string, e modelEntry, life cache.Lifetime, now time.Time) {
	m.dropLocked(key)
	_, _ = rand.Read(e.version[:]) // never fails
	e.lastRead, e.window = now, life.Sliding
	if life.TTL > 0 {
		e.deadline = now.Add(life.TTL)
	}
	m.entries[key] = &e
}

// dropLocked removes whatever is under key: the entry, the lease, the lock and the
// mark.
func (m *Model) dropLocked(key string) {
	delete(m.marks, key)
	delete(m.entries, key)
	delete(m.leases, key)
	delete(m.locks, key)
}

// Refresh implements cache.Cache.
func (m *Model) Refresh(ctx context.Context, key string) error {
	if err := m.begin(ctx, key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if e := m.findLocked(key); e != nil {
		e.lastRead = time.Now()
	}
	return nil
}

// Remove implements cache.Cache.
func (m *Model) Remove(ctx context.Context, key string) error {
	m.coordinator.Invalidate(key)
	defer m.coordinator.Invalidate(key)
	if err := m.begin(ctx, key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.invalidateLocked(key)
	m.stats.Removes++
	return nil
}

// Increment implements cache.Counter.
func (m *Model) Increment(ctx context.Context, key string, delta int64, opts cache.EntryOptions) (int64, error) {
	m.coordinator.Invalidate(key)
	defer m.coordinator.Invalidate(key)
	if err := m.begin(ctx, key); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	if len(opts.Tokens) > 0 {
		return 0, &cache.OptionError{Option: "EntryOptions.Tokens", Value: len(opts.Tokens), Reason: "are not for counters", Err: cache.ErrInvalidConfig}
	}
	now := time.Now()
	resolved, life, err := opts.Resolve(m.defaults, now)
	if err != nil {
		return 0, err
	}
	if life.Sliding > 0 {
		return 0, &cache.OptionError{
			Option: "EntryOptions.SlidingExpiration", Value: resolved.SlidingExpiration,
			Reason: "is not for counters", Err: cache.ErrInvalidTTL,
		}
	}
	e := m.findLocked(key)
	switch {
	case e == nil:
		m.putLocked(key, modelEntry{kind: kindCounter, count: delta}, life, now)
	case e.kind != kindCounter:
		return 0, cache.ErrWrongType
	case delta > 0 && e.count > math.MaxInt64-delta, delta < 0 && e.count < math.MinInt64-delta:
		return 0, cache.ErrOverflow
	default:
		e.count += delta
	}
	return m.entries[key].count, nil
}

// Clear implements cache.Clearer.
func (m *Model) Clear(ctx context.Context) error {
	m.coordinator.InvalidateAll()
	defer m.coordinator.InvalidateAll()
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	if err := m.lockOpen(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	clear(m.entries)
	clear(m.leases)
	clear(m.locks)
	for key := range m.marks {
		m.invalidateLocked(key)
	}
	return nil
}

// Coordinate implements cache.Coordinated.
func (m *Model) Coordinate(key string) (*cache.Coordinator, string) { return m.coordinator, key }

// Stats implements cache.StatsReporter.
func (m *Model) Stats() cache.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	for key := range m.entries {
		if m.findLocked(key) != nil {
			s.Entries++
		}
	}
	m.coordinator.AddTo(&s)
	return s
}

// Close implements cache.Backend.
func (m *Model) Close(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	return m.coordinator.Close(ctx)
}
