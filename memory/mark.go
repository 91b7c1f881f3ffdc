package memory

import "github.com/larder-go/larder/cache"

// markWriter is one writer's part of a mark.
type markWriter struct {
	writer   [16]byte
	deadline int64
}

// newEpoch returns an epoch that no mark had.
func newEpoch() cache.Lease { return newLease() }

// othersAt returns the writers of a mark that stand at now but this one, and
// the deadline of the last of them.
func (r leaseRecord) othersAt(now int64, writer [16]byte) (others []markWriter, last int64) {
	if r.kind != isMark {
		return nil, 0
	}
	for _, w := range r.writers {
		if w.writer != writer && now < w.deadline {
			others = append(others, w)
			last = max(last, w.deadline)
		}
	}
	return others, last
}

// begin puts the part of writer, until deadline, in the mark of key, which it
// makes if there is none in the place of a lease or a forced lock. It returns
// the mark's epoch if no other writer is in it, else none.
func (l *leases) begin(key string, writer [16]byte, now, deadline int64) (epoch [16]byte, err error) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	others, last := s.leases[key].othersAt(now, writer)
	if len(others) >= cache.MaxWriters {
		return epoch, cache.ErrTooManyWriters
	}
	if !s.roomLocked(key, now) {
		return epoch, errTooManyMarks
	}
	fresh := newEpoch()
	if len(others) == 0 {
		epoch = fresh
	}
	s.putLocked(key, leaseRecord{
		lease: fresh, deadline: max(last, deadline), kind: isMark,
		writers: append(others, markWriter{writer, deadline}),
	})
	return epoch, nil
}

// end takes the part of mark.Writer out of the mark of key. If others remain the
// mark gets another epoch, else it goes, as does a lease or a forced lock that
// took its place.
func (l *leases) end(key string, mark cache.WriteMark, now int64) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	others, last := s.leases[key].othersAt(now, mark.Writer)
	if len(others) == 0 {
		s.deleteLocked(key)
		return
	}
	s.putLocked(key, leaseRecord{lease: newEpoch(), deadline: last, kind: isMark, writers: others})
}

// untouched reports whether a mark stands on key as mark.Writer left it.
func (l *leases) untouched(key string, mark cache.WriteMark, now int64) bool {
	epoch, stands := l.markAt(key, now)
	return stands && epoch == mark.Epoch
}

// markAt returns the epoch of the mark that stands on key at now.
func (l *leases) markAt(key string, now int64) (epoch [16]byte, stands bool) {
	s := l.shard(key)
	if s.held.Load() == 0 {
		return epoch, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.leases[key]
	return r.lease, r.standsAt(now, isMark)
}

// invalidate takes away whatever lease or forced lock of key stands; a mark gets
// another epoch.
func (l *leases) invalidate(key string, now int64) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.invalidateLocked(key, now)
}

// invalidateAll is invalidate for every key.
func (l *leases) invalidateAll(now int64) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for key := range s.leases {
			s.invalidateLocked(key, now)
		}
		s.mu.Unlock()
	}
}

func (s *leaseShard) invalidateLocked(key string, now int64) {
	r, ok := s.leases[key]
	if !ok || !r.standsAt(now, isMark) {
		s.deleteLocked(key)
		return
	}
	r.lease = newEpoch()
	s.leases[key] = r
}

// holds reports whether something may stand on key.
func (l *leases) holds(key string) bool { return l.shard(key).held.Load() > 0 }
