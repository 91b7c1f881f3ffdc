package faults

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Removal is what callers got whose key was removed while an older load of it
// was under way.
type Removal struct {
	Cache string
	// Waited: the removal itself returned only after the old load.
	Waited bool
	// DuringStale: a read that began after the removal returned, while the old
	// load was still running, got what that load had read.
	DuringStale bool
	// AfterStale: so did a read that began when all was over.
	AfterStale bool
}

// headStart is how long the removal and the second reader have until the old
// load returns.
const headStart = 200 * time.Millisecond

var errNotStarted = errors.New("faults: the load did not start")

// Removals tries each cache once. Without addr the caches on Redis are left
// out.
func Removals(ctx context.Context, addr string) ([]Removal, error) {
	var found []Removal
	var s *slowSource
	source := func() load { s = newSlowSource(); return s.load }
	err := each(addr, source, func(l *loader) error {
		r, err := removal(ctx, l, s)
		found = append(found, r)
		return err
	})
	return found, err
}

// slowSource holds "old" and then "new". Its first load has read and lingers
// until it is let go.
type slowSource struct {
	changed      atomic.Bool
	loads        atomic.Int64
	read, resume chan struct{}
}

func newSlowSource() *slowSource {
	return &slowSource{read: make(chan struct{}), resume: make(chan struct{})}
}

func (s *slowSource) load(context.Context, string) (string, error) {
	value := "old"
	if s.changed.Load() {
		value = "new"
	}
	if s.loads.Add(1) == 1 {
		close(s.read)
		<-s.resume
	}
	return value, nil
}

func removal(ctx context.Context, l *loader, s *slowSource) (Removal, error) {
	r := Removal{Cache: l.name}
	get := func() <-chan string {
		got := make(chan string, 1)
		go func() {
			value, err := l.get(ctx, "key")
			if err != nil {
				value = err.Error()
			}
			got <- value
		}()
		return got
	}
	first := get()
	select {
	case <-s.read:
	case <-time.After(10 * time.Second):
		return r, errNotStarted
	}
	s.changed.Store(true)
	var resumed atomic.Bool
	time.AfterFunc(headStart, func() { resumed.Store(true); close(s.resume) })
	if err := l.remove(ctx, "key"); err != nil {
		return r, err
	}
	r.Waited = resumed.Load()
	second := get()
	r.DuringStale = <-second == "old"
	<-first
	r.AfterStale = <-get() == "old"
	return r, l.remove(ctx, "key")
}
