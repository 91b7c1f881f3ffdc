package cache

import "context"

// Waker is the capability of a cache that several processes write and whose
// server can pass hints on: whoever waits for a load of another process need not
// ask again and again.
//
// A hint is only that. It may come late, twice, for no reason or never, so
// whoever waits keeps asking, only less often, and believes what the answers
// say.
type Waker interface {
	// Await asks for a hint that the load in charge of key, whose lease was
	// shown by LeaseBusy, has stored its value or given up. wake is closed when
	// the hint comes, when there will be none any more, or at once if the lease
	// does not stand: in any case it is time to ask again, and for another hint.
	// It is nil if there are no hints to be had now.
	//
	// A hint that the load sends after Await returned is not missed because of
	// Await. The lease stays as it is: it is filled, extended, shown and
	// released as before. stop, never nil, ends the waiting; it may be called
	// more than once.
	//
	// Await never waits for a connection to be made. One round trip at most.
	Await(ctx context.Context, key string, lease Lease) (wake <-chan struct{}, stop func())
}

// follower waits for one load of another process.
type follower struct {
	waker Waker // nil: no hints

	lease Lease // whose hint wake is
	wake  <-chan struct{}
	stop  func() // not nil while wake is not
}

// await returns a channel that is closed at a hint about lease; nil: there will
// be none.
func (f *follower) await(ctx context.Context, key string, lease Lease) <-chan struct{} {
	if f.waker == nil || f.wake != nil && f.lease == lease {
		return f.wake
	}
	f.end()
	f.lease = lease
	f.wake, f.stop = f.waker.Await(ctx, key, lease)
	if f.wake == nil {
		f.end()
	}
	return f.wake
}

// end forgets the hint that was waited for.
func (f *follower) end() {
	if f.stop != nil {
		f.stop()
	}
	f.wake, f.stop = nil, nil
}
