package engine

import "math/bits"

// wheel is where slots wait for their entry's deadline: five levels of 64
// buckets, each bucket of a level as long as all of the level below. What is in
// a bucket is looked at when its time has come, and put where it belongs then;
// so a deadline that moves later, which is what sliding and replacing do, needs
// no change here.
//
// It is guarded by the lock of the policy.
type wheel struct {
	time  int64               // all before was taken out
	taken [wheelLevels]uint64 // buckets that may hold something
}

const (
	wheelLevels  = 5
	wheelBuckets = 64
	wheelLists   = wheelLevels*wheelBuckets + 1 // and those whose time has come
	headDue      = headWheel + wheelLists - 1

	wheelStep  = 30 // 1.07 s are the shortest bucket
	wheelShift = 6  // each level is 64 times coarser
)

func shiftOf(level int) uint { return uint(wheelStep + wheelShift*level) }

// schedule has slot pos looked at when deadline has passed, soon afterwards.
func (p *policy[V]) schedule(pos uint32, deadline int64) {
	p.slots.unlinkTimer(pos)
	if deadline == Never {
		return
	}
	w := &p.wheel
	at := max(deadline, w.time)
	level := 0
	for level < wheelLevels-1 && at>>shiftOf(level)-w.time>>shiftOf(level) >= wheelBuckets {
		level++
	}
	tick := min(at>>shiftOf(level), w.time>>shiftOf(level)+wheelBuckets-1)
	bucket := uint32(tick % wheelBuckets)
	w.taken[level] |= 1 << bucket
	p.slots.pushTimer(headWheel+uint32(level)*wheelBuckets+bucket, pos)
	p.arm(w.wake(level, tick))
}

// wake returns when a bucket is to be looked at: the shortest ones at their
// end, when all in them has expired, the others at their beginning, when it is
// put where it belongs.
func (w *wheel) wake(level int, tick int64) int64 {
	if level == 0 || tick == w.time>>shiftOf(level) {
		tick++
	}
	return tick << shiftOf(level)
}

// advance moves what is in buckets whose time has come to the list of those due.
func (p *policy[V]) advance(now int64) {
	w := &p.wheel
	for level := range wheelLevels {
		from, to := w.time>>shiftOf(level), now>>shiftOf(level)
		if from >= to {
			break
		}
		for tick := from; tick <= min(to, from+wheelBuckets-1); tick++ {
			bucket := uint32(tick % wheelBuckets)
			if w.taken[level]&(1<<bucket) != 0 {
				w.taken[level] &^= 1 << bucket
				p.slots.moveTimers(headWheel+uint32(level)*wheelBuckets+bucket, headDue)
			}
		}
	}
	w.time = max(w.time, now)
}

// nextWake returns when the next bucket is to be looked at, Never if all are
// empty.
func (w *wheel) nextWake() int64 {
	next := int64(Never)
	for level := range wheelLevels {
		if w.taken[level] == 0 {
			continue
		}
		tick := w.time >> shiftOf(level)
		ahead := bits.TrailingZeros64(bits.RotateLeft64(w.taken[level], -int(tick%wheelBuckets)))
		next = min(next, w.wake(level, tick+int64(ahead)))
	}
	return next
}

// moveTimers puts all that is in one list at the end of another.
func (s *slots[V]) moveTimers(from, to uint32) {
	f, t := &s.at(from).timer, &s.at(to).timer
	if f.next == from {
		return
	}
	s.at(t.prev).timer.next = f.next
	s.at(f.next).timer.prev = t.prev
	s.at(f.prev).timer.next = to
	t.prev = f.prev
	*f = link{from, from}
}
