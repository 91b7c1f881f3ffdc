package transport

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/breaker"
	"github.com/redis/go-redis/v9"
)

// lane is a goroutine of a node with at most one round trip under way.
type lane struct {
	// immutable
	node   *node
	client pipeliner
	extra  bool
	wake   chan struct{}

	// of a lane for direct calls, which does not run
	line *line
	busy atomic.Bool // set under node.mu

	// confined to run
	extras []redis.Cmder // of Background
	cmds   []redis.Cmder
	first  firstCmd
	mget   *mgetCmd
	asked  map[string]*call // the batch's gets, the first of each key
	missed float64          // the recent share of misses among gets
	gaveUp bool             // whether the round trip failed as the line was cut

	// guarded by node.mu, but run may read them without it
	batch   []*call
	trip    *trip         // nil between round trips
	done    chan struct{} // of the last trip
	mark    uint64        // the breaker's, and whether it let the trip begin
	allowed bool
}

// trip is the context of one round trip. Its Done is closed by the node's
// sweep, so that it needs no timer of its own; connections have a deadline.
type trip struct {
	deadline time.Time
	done     chan struct{}
}

func (t *trip) Deadline() (time.Time, bool) { return t.deadline, true }
func (t *trip) Done() <-chan struct{}       { return t.done }
func (t *trip) Value(any) any               { return nil }

func (t *trip) Err() error {
	select {
	case <-t.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// firstCmd stands for the first command of a round trip. go-redis asks for its
// arguments when it has a connection and begins to write: before that, nothing
// was sent.
type firstCmd struct {
	redis.Cmder
	sent bool
}

// Args returns the command's arguments, and notes that it is being sent.
func (f *firstCmd) Args() []any {
	f.sent = true
	return f.Cmder.Args()
}

func newLane(n *node, extra bool) *lane {
	return &lane{node: n, client: n.client, extra: extra, wake: make(chan struct{}, 1), mget: newMGet(), asked: make(map[string]*call)}
}

func (l *lane) run() {
	for l.node.take(l) {
		start := time.Now()
		l.roundTrip()
		if l.extra && l.node.retire(l, time.Since(start)) {
			return
		}
		runtime.Gosched() // those who got their answer queue their next call
	}
}

// departLocked readies the lane for a round trip with its batch.
func (l *lane) departLocked(now time.Time) {
	if l.trip = (&trip{now.Add(l.node.budget), l.done}); l.done == nil || l.trip.Err() != nil {
		l.done = make(chan struct{})
		l.trip.done = l.done
	}
	l.mark, l.allowed = l.node.guard.Allow()
}

// expireLocked ends what the lane has under way and is overdue. It reports
// whether anything is under way.
func (l *lane) expireLocked(now time.Time) bool {
	if l.trip == nil {
		return false
	}
	grace := l.node.budget / sweeps // the lane itself knows better how a call ended
	for _, c := range l.batch {
		if now.Sub(c.start) >= l.node.budget+grace {
			c.expire()
		} else if l.line == nil { // or the caller is busy with the round trip
			c.nudgeLocked()
		}
	}
	switch overdue := now.Sub(l.trip.deadline); {
	case overdue < 0:
	case l.trip.Err() == nil:
		close(l.trip.done)
	case overdue < 2*grace: // closing Done did not help: the lane cannot tell the breaker
		l.node.guard.TimedOut(l.mark)
	}
	return true
}

// roundTrip sends the batch and wakes its callers.
func (l *lane) roundTrip() {
	sent := false
	if l.claim(); len(l.cmds) > 0 {
		if l.allowed {
			sent = l.send(l.trip, l.cmds)
			l.sendForgotten(l.trip)
			l.judge()
			l.noteMisses()
		} else {
			l.fail(breaker.ErrOpen)
		}
	}
	l.answerTwins()
	l.node.landed(l)
	for _, c := range l.batch {
		c.sent = sent
		c.finish()
	}
	clear(l.batch)
	clear(l.extras)
	clear(l.cmds)
}

// claim takes over the batch's commands, without the calls that nobody waits
// for any more.
func (l *lane) claim() {
	l.cmds = l.cmds[:0]
	l.mget.reset()
	for _, c := range l.batch {
		switch {
		case !c.take():
		case !c.get:
			l.cmds = append(l.cmds, c.cmds...)
		case l.isTwin(c):
		case l.node.mget && !c.exact && l.missed < maxMissing:
			l.mget.add(c)
		default:
			l.cmds = append(l.cmds, &c.raw)
		}
	}
	if len(l.mget.calls) >= minMGet {
		l.cmds = append(l.cmds, l.mget)
	} else {
		for _, c := range l.mget.calls {
			l.cmds = append(l.cmds, &c.raw)
			c.shared = false
		}
		l.mget.reset()
	}
	l.cmds = append(l.cmds, l.extras...)
}

// isTwin reports whether c asks for what another get of the batch asks for
// already: many callers of one hot key cost the server one command.
func (l *lane) isTwin(c *call) bool {
	if len(l.batch) < minMGet {
		return false
	}
	first, ok := l.asked[c.key]
	if !ok {
		l.asked[c.key] = c
		return false
	}
	if c.exact && !first.exact {
		return false
	}
	c.twin = first
	return true
}

// answerTwins gives every twin a copy of the answer. It comes before the first
// of their key gets its own, which belongs to its caller then.
func (l *lane) answerTwins() {
	clear(l.asked)
	for _, c := range l.batch {
		if c.twin == nil {
			continue
		}
		c.reply = c.twin.reply.copy()
		c.raw.SetErr(c.twin.raw.Err())
		c.shared, c.twin = c.twin.shared, nil
	}
}

// send makes one round trip. It reports whether it may have reached the server.
func (l *lane) send(ctx context.Context, cmds []redis.Cmder) (sent bool) {
	head := cmds[0]
	l.first = firstCmd{Cmder: head}
	cmds[0] = &l.first
	if len(cmds) == 1 {
		_ = l.client.Process(ctx, &l.first)
	} else {
		pipe := l.client.Pipeline()
		_ = pipe.BatchProcess(ctx, cmds...)
		_, _ = pipe.Exec(ctx)
	}
	cmds[0] = head
	return l.first.sent
}

// sendForgotten runs the scripts again that the server did not have.
func (l *lane) sendForgotten(ctx context.Context) {
	var again []redis.Cmder
	for _, cmd := range l.cmds {
		if isForgotten(cmd) {
			again = append(again, cmd)
		}
	}
	if len(again) > 0 {
		l.send(ctx, again)
	}
}

// noteMisses keeps count of how many gets find nothing.
func (l *lane) noteMisses() {
	gets, misses := 0, 0
	for _, c := range l.batch {
		if c.get && !c.exact && c.twin == nil {
			gets++
			if c.reply.err == redis.Nil { //nolint:errorlint // ours, unwrapped
				misses++
			}
		}
	}
	if gets > 0 {
		l.missed += (float64(misses)/float64(gets) - l.missed) / 16
	}
}

// fail gives every command of the batch the same error.
func (l *lane) fail(err error) {
	for _, cmd := range l.cmds {
		cmd.SetErr(err)
	}
	l.mget.fail(err)
}

// judge tells the breaker how the round trip went: as badly as its worst
// command. It says nothing of one that failed because its caller left.
func (l *lane) judge() {
	worst := none
	for _, cmd := range l.cmds {
		err := cmd.Err()
		switch c := cmd.(type) {
		case *getCmd:
			if err == nil {
				err = c.reply.err
			}
		case *mgetCmd:
			if err == nil {
				err = c.calls[0].reply.err
			} else {
				c.fail(err)
			}
		}
		if err != nil && err != redis.Nil { //nolint:errorlint // the common case, told cheaply
			worst = max(worst, faultOf(err))
		}
		if errors.Is(err, redis.ErrClosed) && l.node.onGone != nil {
			l.node.onGone()
		}
	}
	switch {
	case worst == none || worst == refused:
		l.node.guard.Succeed()
	case worst >= unsent && l.line != nil && l.line.cut.Load():
		l.gaveUp = true
	case worst == timedOut:
		l.node.guard.TimedOut(l.mark)
	default:
		l.node.guard.Fail()
	}
}
