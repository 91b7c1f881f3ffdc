package linear

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/larder-go/larder/cache"
)

// subject is a cache that is called.
type subject struct {
	cache.Cache
	cache.Versioner
	cache.Locker
}

func subjectOf(tb testing.TB, c cache.Cache) subject {
	tb.Helper()
	v, isVersioner := cache.As[cache.Versioner](c)
	l, isLocker := cache.As[cache.Locker](c)
	if !isVersioner || !isLocker {
		tb.Fatal("a backend without versions or locks")
	}
	return subject{c, v, l}
}

// recording is a run of several clients, and the history that it makes.
type recording struct {
	clients, calls, keys int
	seed                 uint64

	clock atomic.Int64
	ids   atomic.Uint64

	mu      sync.Mutex
	history []porcupine.Operation
}

// run lets the clients call s, and returns the history. open is what each client
// calls, so that clients may come by different ways.
func (r *recording) run(ctx context.Context, open func(client int) subject) []porcupine.Operation {
	var clients sync.WaitGroup
	for id := range r.clients {
		clients.Go(func() {
			c := &client{
				r: r, id: id, s: open(id), ctx: ctx,
				rand:     rand.New(rand.NewPCG(r.seed, uint64(id))),
				versions: make(map[string]cache.Version), handles: make(map[string]cache.LockHandle),
			}
			for range r.calls {
				c.call()
			}
		})
	}
	clients.Wait()
	return r.history
}

// client is one caller, with what it has learned.
type client struct {
	r    *recording
	id   int
	s    subject
	ctx  context.Context
	rand *rand.Rand

	versions map[string]cache.Version    // the last seen, by key
	handles  map[string]cache.LockHandle // the last got, by key
}

// never is when a call has returned whose effect may come at any time.
const never = math.MaxInt64

func (c *client) call() {
	in := c.draw()
	start := c.r.clock.Add(1)
	out, told := c.do(in)
	end := c.r.clock.Add(1)
	if out.outcome == unknown {
		end = never
	}
	c.learn(in, out)
	history := []porcupine.Operation{{ClientId: c.id, Input: in, Call: start, Output: out, Return: end}}
	if out.outcome == unknown && (in.op == opGetAndLock || in.op == opForceLock) {
		forget := input{op: opForget, key: in.key, handle: in.handle}
		history = append(history, porcupine.Operation{ClientId: c.id, Input: forget, Call: start, Output: output{outcome: unknown}, Return: never})
	}
	c.r.mu.Lock()
	c.r.history = append(c.r.history, history...)
	c.r.mu.Unlock()
	if !told { // the breaker is open: let it look again
		time.Sleep(time.Millisecond)
	}
}

// draw makes a call up. Every value is written once only.
func (c *client) draw() input {
	id := c.r.ids.Add(1)
	in := input{op: op(c.rand.IntN(ops)), key: fmt.Sprint("k", c.rand.IntN(c.r.keys))}
	switch in.op {
	case opSet, opCompareAndSet, opAdd, opPutAndUnlock:
		in.value = fmt.Sprint("v", id)
	case opGetAndLock, opForceLock:
		in.handle = cache.LockHandle{0xff, byte(id >> 16), byte(id >> 8), byte(id)}
	}
	switch in.op {
	case opCompareAndSet, opRemoveVersion:
		in.version = c.versions[in.key]
		if in.version == (cache.Version{}) {
			in.op, in.value = opGetItem, ""
		}
	case opPutAndUnlock, opUnlock, opRemoveLocked:
		in.handle = c.handles[in.key]
		if in.handle == (cache.LockHandle{}) {
			in.op, in.value = opForceLock, ""
			in.handle = cache.LockHandle{0xff, byte(id >> 16), byte(id >> 8), byte(id)}
		}
	}
	return in
}

func (c *client) learn(in input, out output) {
	if out.version != (cache.Version{}) {
		c.versions[in.key] = out.version
	}
	if out.handle != (cache.LockHandle{}) {
		c.handles[in.key] = out.handle
	}
}

// do makes the call. told is false if the cache could not be asked.
func (c *client) do(in input) (out output, told bool) {
	var opts cache.EntryOptions
	var value []byte
	var err error
	var item cache.VersionedItem
	key := in.key
	switch in.op {
	case opGet:
		value, out.yes, err = c.s.Get(c.ctx, key)
		out.value = string(value)
	case opSet:
		err = c.s.Set(c.ctx, key, []byte(in.value), opts)
	case opRemove:
		err = c.s.Remove(c.ctx, key)
	case opGetItem:
		item, out.yes, err = c.s.GetItem(c.ctx, key)
	case opCompareAndSet:
		out.version, err = c.s.CompareAndSet(c.ctx, key, []byte(in.value), in.version, opts)
	case opAdd:
		out.version, err = c.s.Add(c.ctx, key, []byte(in.value), opts)
	case opRemoveVersion:
		out.yes, err = c.s.RemoveVersion(c.ctx, key, in.version)
	case opGetAndLock, opForceLock:
		item, out.handle, err = c.s.GetAndLock(c.ctx, key, time.Hour, cache.LockOptions{Force: in.op == opForceLock})
		out.yes = item.Version != (cache.Version{})
	case opPutAndUnlock:
		out.version, err = c.s.PutAndUnlock(c.ctx, key, []byte(in.value), in.handle, opts)
	case opUnlock:
		err = c.s.Unlock(c.ctx, key, in.handle, 0)
	case opRemoveLocked:
		out.yes, err = c.s.RemoveLocked(c.ctx, key, in.handle)
	}
	if in.op == opGetItem || in.op == opGetAndLock || in.op == opForceLock {
		out.value, out.version, out.locked = string(item.Value), item.Version, item.Locked
	}
	return settle(out, err)
}

// settle says what err means.
func settle(out output, err error) (output, bool) {
	var mismatch *cache.VersionMismatchError
	switch {
	case err == nil:
		return out, true
	case errors.Is(err, cache.ErrUnavailable):
		out.outcome = undone
		return out, false
	case errors.Is(err, cache.ErrOutcomeUnknown):
		out.outcome = unknown
		return out, true
	case errors.As(err, &mismatch):
		out.version = mismatch.Current
	}
	out.outcome, out.err = refused, err
	for _, sentinel := range [...]error{
		cache.ErrVersionMismatch, cache.ErrNoEntry, cache.ErrExists, cache.ErrLocked, cache.ErrNotLocked, cache.ErrInvalidHandle,
	} {
		if errors.Is(err, sentinel) {
			out.err = sentinel
		}
	}
	return out, true
}

func (o op) String() string { return opNames[o] }
