package queue

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/queue"
)

const (
	// jointWrites is how many writes go into one script at most, jointBytes about
	// how many bytes.
	jointWrites = 64
	jointBytes  = 256 << 10

	// jointShare is the inverse of the part of all writers that need not wait for what is
	// under way: two scripts with half of them each keep the server busy while replies
	// are handed out, and cost it less than many small ones.
	jointShare = 2

	// jointDecay is the inverse of the part of the writers that each script forgets if
	// they are not seen again.
	jointDecay = 16
)

// joint gathers the writes of a partition that are made while scripts with others
// are under way: they are the next script. A script costs the server more than a write
// does.
type joint struct {
	q *Queue
	p *partition

	mu      sync.Mutex
	scripts int    // under way
	sent    int    // writes in them
	crowd   int    // how many writers there are, as far as was seen lately
	open    *batch // waits for the scripts under way; nil if nobody does
	closed  bool
	flights sync.WaitGroup // of batches
}

// batch is what one script is given.
type batch struct {
	writes []*joined
	bytes  int
	done   chan struct{} // closed when the script is through

	// Set before done is closed.
	reply reply
	err   error
}

// joined is a write in a batch.
type joined struct {
	queue.Write
	payload string // a copy: the script may outlive the call
	gone    bool   // its caller has left before it was sent; guarded by joint.mu
	at      int    // in the reply; set before done is closed
}

// enqueue accepts w. left is true if that has to be done alone, and nothing was done.
func (j *joint) enqueue(ctx context.Context, w queue.Write) (sequence uint64, left bool, err error) {
	own := &joined{Write: w, payload: string(w.Payload)}
	j.mu.Lock()
	if j.open == nil && j.enoughLocked(1) {
		j.countLocked(1)
		j.mu.Unlock()
		b := &batch{writes: []*joined{own}}
		b.reply, b.err = j.send(ctx, b.writes)
		if next := j.landed(b); next != nil {
			go j.fly(next)
		}
		return j.q.said(b, own)
	}
	b := j.open
	if b == nil {
		b = &batch{done: make(chan struct{})}
		j.open = b
	}
	if b.has(w.Key) {
		j.mu.Unlock()
		return 0, true, nil
	}
	b.writes = append(b.writes, own)
	b.bytes += len(own.payload)
	if full := len(b.writes) == jointWrites || b.bytes > jointBytes; (full || j.enoughLocked(len(b.writes))) && j.departLocked() {
		go j.fly(b)
	}
	j.mu.Unlock()
	select {
	case <-b.done:
		return j.q.said(b, own)
	case <-ctx.Done():
		return 0, false, j.leave(ctx, b, own)
	}
}

// has reports whether a write of this key is in b.
func (b *batch) has(key string) bool {
	return slices.ContainsFunc(b.writes, func(w *joined) bool { return w.Key == key })
}

// leave takes w out of a batch that was not sent yet.
func (j *joint) leave(ctx context.Context, b *batch, w *joined) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.open == b {
		w.gone = true
		return ctx.Err()
	}
	return &cache.OpError{Op: "enqueue", Key: w.Key, Err: fmt.Errorf("%w: %w", cache.ErrOutcomeUnknown, ctx.Err())}
}

// enoughLocked reports whether so many writes need not wait any longer.
func (j *joint) enoughLocked(n int) bool {
	return j.scripts == 0 || n*jointShare >= j.crowd
}

// countLocked counts a script of so many writes, which is to be sent.
func (j *joint) countLocked(n int) {
	j.scripts++
	j.sent += n
	j.crowd = max(j.sent, j.crowd-max(1, j.crowd/jointDecay))
}

// landed notes that b is through, and returns the batch that is to fly then, if there
// is one.
func (j *joint) landed(b *batch) *batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.scripts--
	j.sent -= len(b.writes)
	next := j.open
	if next == nil || !j.enoughLocked(len(next.writes)) || !j.departLocked() {
		return nil
	}
	return next
}

// fly sends a batch, and others that wait when it is through.
func (j *joint) fly(b *batch) {
	for b != nil {
		b.reply, b.err = j.send(context.Background(), b.writes)
		next := j.landed(b)
		close(b.done)
		j.flights.Done()
		b = next
	}
}

// departLocked lets nobody else into the batch that waits, which is to fly. It reports
// false, and ends the batch, if the queue is closed.
func (j *joint) departLocked() bool {
	b := j.open
	j.open = nil
	if j.closed {
		b.err = cache.ErrClosed
		close(b.done)
		return false
	}
	b.depart()
	j.flights.Add(1)
	j.countLocked(len(b.writes))
	return true
}

// depart leaves out those who have left.
func (b *batch) depart() {
	b.writes = slices.DeleteFunc(b.writes, func(w *joined) bool { return w.gone })
	for i, w := range b.writes {
		w.at = i
	}
}

// kinds are how the script is told of a write: a deletion or not, whole or not.
var kinds = [2][2]any{{"0 0", "0 1"}, {"1 0", "1 1"}}

// send runs the script.
func (j *joint) send(ctx context.Context, writes []*joined) (reply, error) {
	if len(writes) == 0 {
		return nil, nil
	}
	args := make([]any, 2, 2+4*len(writes))
	args[0], args[1] = j.q.maxItems, j.q.maxBytes
	for _, w := range writes {
		var onto any = ""
		if w.Mode == queue.Merge {
			onto = w.Onto
		}
		args = append(args, w.Key, w.payload, kinds[flag(w.Deleted)][flag(w.Mode == queue.Replace)], onto)
	}
	cmd := quickScript.CmdOf(ctx, j.p.all[:2], args...)
	if err := j.q.transport.Do(ctx, j.p.items, cmd, transport.Write); err != nil {
		return nil, err
	}
	r, ok := list(cmd, 2*len(writes))
	if !ok {
		return nil, fmt.Errorf("%w: strange reply", cache.ErrOutcomeUnknown)
	}
	return r, nil
}

// said tells what became of a write of a batch that is through.
func (q *Queue) said(b *batch, w *joined) (sequence uint64, left bool, err error) {
	if b.err != nil {
		return 0, false, failure("enqueue", w.Key, b.err)
	}
	n := b.reply.number(2 * w.at)
	if n == saidLeft {
		return 0, true, nil
	}
	sequence, err = q.accepted(n, b.reply.number(2*w.at+1))
	return sequence, false, err
}

// close refuses to start further batches and waits for those under way until ctx
// ends.
func (j *joint) close(ctx context.Context) error {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		j.flights.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
