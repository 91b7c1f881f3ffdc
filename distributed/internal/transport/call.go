package transport

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// The states of a call. Whoever moves it to its last state alone may wake its
// caller; a call that is not through must not be reused, for a lane may still
// be busy with its commands.
const (
	stateQueued    uint32 = iota
	stateTaken            // by a lane, which has sent it or will
	stateThrough          // the lane is done with it
	stateGone             // the caller left before it was sent
	stateGoneTaken        // the caller left when it was sent or may have been
	stateLate             // its time was up before a lane took it
	stateLateTaken        // its time was up afterwards
)

// call is what one caller waits for: a get, or commands that stay together and
// in order.
type call struct {
	state atomic.Uint32
	done  chan signal
	slow  bool // whether its caller was told so; guarded by node.mu

	// Set by the caller before the call is queued.
	start time.Time
	get   bool
	key   string        // of a get
	cmds  []redis.Cmder // of everything else
	one   [1]redis.Cmder
	size  int // bytes to send, about

	// Set by the lane before done.
	shared bool  // a get that is under way in an MGET
	exact  bool  // a get that an MGET found nothing for: to be sent as a GET
	twin   *call // the get of the same key whose answer this one copies
	sent   bool  // whether any of it may have reached the server
	reply  reply
	raw    getCmd // how a get is sent
}

// signal is what the caller of a call is told: perhaps that it is slow, once, and
// then that it is over, because it is through or late.
type signal bool

const (
	isSlow signal = false
	isOver signal = true
)

// getCmd is a GET whose arguments and reply live in its call, so that a reused
// call costs no allocation.
type getCmd struct {
	*redis.RawWriteToCmd
	args  [2]any
	reply *reply
}

// Args returns the command's arguments. go-redis asks for them when it writes.
func (g *getCmd) Args() []any { return g.args[:] }

func newCall() *call {
	c := &call{done: make(chan signal, 2)}
	c.raw = getCmd{
		RawWriteToCmd: redis.NewRawWriteToCmd(context.Background(), &c.reply, "get"),
		args:          [2]any{"get", &c.key},
		reply:         &c.reply,
	}
	return c
}

// end moves a call that is not through to its last state, which depends on
// whether a lane has taken it. It reports false if it already was in one.
func (c *call) end(untaken, taken uint32) bool {
	return c.state.CompareAndSwap(stateQueued, untaken) || c.state.CompareAndSwap(stateTaken, taken)
}

// take claims the call for a lane, unless nobody waits for it any more.
func (c *call) take() bool { return c.state.CompareAndSwap(stateQueued, stateTaken) }

// again gives a get back to the queue, unless nobody waits for it any more.
func (c *call) again() bool {
	c.shared, c.exact, c.reply = false, true, reply{}
	return c.state.CompareAndSwap(stateTaken, stateQueued)
}

// finish wakes the caller of a call that the lane is through with.
func (c *call) finish() {
	if c.state.CompareAndSwap(stateTaken, stateThrough) {
		c.done <- isOver
	}
}

// expire wakes the caller of a call whose time is up.
func (c *call) expire() {
	if c.end(stateLate, stateLateTaken) {
		c.done <- isOver
	}
}

// nudgeLocked tells the caller of a call that is under way that this will take
// longer than most.
func (c *call) nudgeLocked() {
	if !c.slow {
		c.slow = true
		c.done <- isSlow
	}
}

// giveUp notes that a call that is through has no answer, because its caller
// left meanwhile.
func (c *call) giveUp() {
	if c.sent {
		c.state.CompareAndSwap(stateThrough, stateGoneTaken)
	} else {
		c.state.CompareAndSwap(stateThrough, stateGone)
	}
}

// reset makes a call that is through ready for another use.
func (c *call) reset() {
	if !c.shared {
		c.raw.SetErr(nil) // otherwise it was not used
	}
	c.get, c.key, c.cmds, c.one[0], c.size = false, "", nil, nil, 0
	c.shared, c.exact, c.sent, c.slow = false, false, false, false
	c.reply = reply{}
	c.state.Store(stateQueued)
}

// outcome returns the value of a get that is through: what the server said, if it
// said all of it.
func (c *call) outcome() ([]byte, error) {
	if !c.reply.over {
		if err := c.raw.Err(); err != nil {
			return nil, err
		}
	}
	return c.reply.result()
}

// sizeOf estimates the bytes that cmd takes on the wire.
func sizeOf(cmd redis.Cmder) int {
	n := 0
	for _, arg := range cmd.Args() {
		switch v := arg.(type) {
		case string:
			n += len(v)
		case []byte:
			n += len(v)
		}
		n += 16
	}
	return n
}
