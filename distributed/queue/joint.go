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

	// jointEnough is how many writes need not wait for the script under way, if they
	// are also the part of one in jointShare of the writes under way, and no more than
	// jointMore scripts go beside it: so the server has something to do while replies
	// are handed out.
	jointEnough = 5
	jointShare  = 2
	jointMore   = 3
)

// joint gathers the writes of a partition that are made while a script with others
// is under way: they are the next script, or, if there are enough, one more at once. A
// script costs the server more than a write does.
type joint struct {
	q *Queue
	p *partition

	mu      sync.Mutex
	flying  bool   // a script is under way
	beside  int    // so many more are without having waited for it
	sent    int    // writes in all of them
	open    *batch // waits for that; nil if nobody does
	closed  bool
	flights sync.WaitGroup // goroutines that fly batches
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
	if !j.flying {
		j.flying = true
		j.sent++
		j.mu.Unlock()
		b := &batch{writes: []*joined{own}}
		b.reply, b.err = j.send(ctx, b.writes)
		j.landed()
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
	full := len(b.writes) == jointWrites || b.bytes > jointBytes
	enough := len(b.writes) >= jointEnough && len(b.writes)*jointShare >= j.sent && j.beside < jointMore
	if (full || enough) && j.departLocked(b) {
		j.beside++
		go j.flyBeside(b)
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

// landed lets the next batch fly, if there is one.
func (j *joint) landed() {
	if b := j.next(true, 1); b != nil {
		go j.fly(b)
	}
}

// fly sends batches until none waits.
func (j *joint) fly(b *batch) {
	defer j.flights.Done()
	for ; b != nil; b = j.next(false, len(b.writes)) {
		j.trip(b)
	}
}

// flyBeside sends a batch that does not wait for the one under way.
func (j *joint) flyBeside(b *batch) {
	defer j.flights.Done()
	j.trip(b)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.beside--
	j.sent -= len(b.writes)
}

func (j *joint) trip(b *batch) {
	b.reply, b.err = j.send(context.Background(), b.writes)
	close(b.done)
}

// next takes the batch that waits, after one of so many writes. Whoever wants to start
// a goroutine for it says so.
func (j *joint) next(starting bool, through int) *batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sent -= through
	b := j.open
	if b == nil || starting && !j.departLocked(b) {
		j.flying = false
		return nil
	}
	if !starting {
		j.open = nil
		b.depart()
		j.sent += len(b.writes)
	}
	return b
}

// departLocked lets nobody else into the batch that waits, and counts the goroutine
// that is to fly it. It reports false, and ends the batch, if the queue is closed.
func (j *joint) departLocked(b *batch) bool {
	j.open = nil
	if j.closed {
		b.err = cache.ErrClosed
		close(b.done)
		return false
	}
	j.flights.Add(1)
	b.depart()
	j.sent += len(b.writes)
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
