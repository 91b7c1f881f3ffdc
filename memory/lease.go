package memory

import (
	"encoding/binary"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/larder-go/larder/cache"
)

// leases holds the right to fill of each key that is being loaded, the write
// mark of each that is being written, and the forced lock of each absent key
// that has one: a key has one of them at most. It changes
// only under the key's lock in the engine (except for sweeps and releases,
// which only take away), so a lease is checked and spent, or voided, in one
// atomic step with the write.
//
// It is bounded: a lease that ran out is swept, and a shard that is full of
// live ones refuses more, which costs its callers their fills only. Marks and
// forced locks take up to half of a shard, and the place of another key's lease
// if they must.
type leases struct {
	seed   maphash.Seed
	shards [leaseShards]leaseShard
}

const (
	leaseShards   = 64
	leasesInShard = 4096
	keptInShard   = leasesInShard / 2
)

type leaseShard struct {
	held atomic.Int64 // len(leases), readable without the lock

	mu     sync.Mutex
	leases map[string]leaseRecord
	kept   int   // how many of them are no leases, but marks and forced locks
	first  int64 // no lease runs out before

	_ [64]byte // keeps neighbours off this cache line
}

type leaseRecord struct {
	lease    cache.Lease // or a mark's epoch, or a lock's handle
	deadline int64       // of a mark: of its last writer
	kind     leaseKind
	writers  []markWriter // of a mark; never changed, for copies share it
}

type leaseKind uint8

const (
	isLease leaseKind = iota
	isMark
	isLock // a forced one
)

// standsAt reports whether r is of this kind and stands at now.
func (r leaseRecord) standsAt(now int64, kind leaseKind) bool {
	return r.kind == kind && now < r.deadline
}

func newLeases() *leases {
	l := &leases{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].leases = make(map[string]leaseRecord)
		l.shards[i].first = never
	}
	return l
}

func (l *leases) shard(key string) *leaseShard {
	return &l.shards[maphash.String(l.seed, key)%leaseShards]
}

// grant gives out the lease of key until deadline, unless another stands.
func (l *leases) grant(key string, now, deadline int64) cache.LeaseReply {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.leases[key]; ok && now < r.deadline {
		switch r.kind {
		case isLock:
			return cache.LeaseReply{State: cache.LeaseRefused}
		case isMark:
			return cache.LeaseReply{State: cache.LeaseMarked, Lease: r.lease}
		}
		return cache.LeaseReply{State: cache.LeaseBusy, Lease: r.lease}
	}
	if len(s.leases) >= leasesInShard {
		s.sweepLocked(now)
	}
	if len(s.leases) >= leasesInShard {
		return cache.LeaseReply{State: cache.LeaseRefused}
	}
	lease := newLease()
	s.putLocked(key, leaseRecord{lease: lease, deadline: deadline})
	return cache.LeaseReply{State: cache.LeaseGranted, Lease: lease}
}

// newLease returns a random lease, from the runtime's ChaCha8 generator.
func newLease() cache.Lease {
	var lease cache.Lease
	for lease == (cache.Lease{}) {
		binary.NativeEndian.PutUint64(lease[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(lease[8:], rand.Uint64())
	}
	return lease
}

// spend takes the lease of key away and reports whether it stood.
func (l *leases) spend(key string, lease cache.Lease, now int64) bool {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.leases[key]
	if !ok || r.lease != lease || r.kind != isLease {
		return false
	}
	s.deleteLocked(key)
	return now < r.deadline
}

// extend moves the deadline of lease, if it stands.
func (l *leases) extend(key string, lease cache.Lease, now, deadline int64) bool {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.leases[key]
	if !ok || r.lease != lease || !r.standsAt(now, isLease) {
		return false
	}
	s.putLocked(key, leaseRecord{lease: lease, deadline: deadline})
	return true
}

// lock puts a forced lock on key until deadline, in the place of a lease or a
// mark. No lock stands. It reports whether there is room.
func (l *leases) lock(key string, handle cache.LockHandle, now, deadline int64) bool {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.roomLocked(key, now) {
		return false
	}
	s.putLocked(key, leaseRecord{lease: cache.Lease(handle), deadline: deadline, kind: isLock})
	return true
}

// roomLocked makes room for a lock or a mark of key, whose lease or mark is
// about to be replaced, and reports whether it could.
func (s *leaseShard) roomLocked(key string, now int64) bool {
	if len(s.leases) >= leasesInShard || s.kept >= keptInShard {
		s.sweepLocked(now)
	}
	r, ok := s.leases[key]
	if s.kept >= keptInShard && !(ok && r.kind != isLease) {
		return false
	}
	if !ok && len(s.leases) >= leasesInShard {
		s.dropLeaseLocked()
	}
	return true
}

// lockAt returns the handle of the forced lock that stands on key at now.
func (l *leases) lockAt(key string, now int64) (handle cache.LockHandle, stands bool) {
	s := l.shard(key)
	if s.held.Load() == 0 {
		return cache.LockHandle{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.leases[key]
	if !ok || !r.standsAt(now, isLock) {
		return cache.LockHandle{}, false
	}
	return cache.LockHandle(r.lease), true
}

// void takes away whatever lease, mark or forced lock of key stands.
func (l *leases) void(key string) {
	s := l.shard(key)
	if s.held.Load() == 0 {
		return
	}
	s.mu.Lock()
	s.deleteLocked(key)
	s.mu.Unlock()
}

// voidAll takes away everything.
func (l *leases) voidAll() {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		clear(s.leases)
		s.kept, s.first = 0, never
		s.held.Store(0)
		s.mu.Unlock()
	}
}

// sweep drops the leases that ran out.
func (l *leases) sweep(now int64) {
	for i := range l.shards {
		s := &l.shards[i]
		if s.held.Load() == 0 {
			continue
		}
		s.mu.Lock()
		s.sweepLocked(now)
		s.mu.Unlock()
	}
}

// next returns a time before which no lease runs out.
func (l *leases) next() int64 {
	next := int64(never)
	for i := range l.shards {
		s := &l.shards[i]
		if s.held.Load() > 0 {
			s.mu.Lock()
			next = min(next, s.first)
			s.mu.Unlock()
		}
	}
	return next
}

func (s *leaseShard) putLocked(key string, r leaseRecord) {
	s.deleteLocked(key)
	s.leases[key] = r
	if r.kind != isLease {
		s.kept++
	}
	s.first = min(s.first, r.deadline)
	s.held.Store(int64(len(s.leases)))
}

// dropLeaseLocked takes any lease away. The shard is full, and half of it at
// least are leases: it is soon found.
func (s *leaseShard) dropLeaseLocked() {
	for key, r := range s.leases {
		if r.kind == isLease {
			s.deleteLocked(key)
			return
		}
	}
}

func (s *leaseShard) deleteLocked(key string) {
	if r, ok := s.leases[key]; ok && r.kind != isLease {
		s.kept--
	}
	delete(s.leases, key)
	s.held.Store(int64(len(s.leases)))
}

func (s *leaseShard) sweepLocked(now int64) {
	if now < s.first {
		return
	}
	s.first = never
	for key, r := range s.leases {
		if now >= r.deadline {
			s.deleteLocked(key)
		} else {
			s.first = min(s.first, r.deadline)
		}
	}
	s.held.Store(int64(len(s.leases)))
}
