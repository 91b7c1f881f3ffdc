package queue

import (
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/queue"
)

// strange is the error of a reply that no script of the queue gives.
func strange(op string) error {
	return &cache.OpError{Op: op, Err: fmt.Errorf("%w: strange reply", cache.ErrUnavailable)}
}

// list returns the reply to a script. ok is false if it is shorter than least.
func list(cmd redis.Cmder, least int) (l reply, ok bool) {
	c, ok := cmd.(*transport.ScriptCmd)
	if !ok {
		return nil, false
	}
	l, ok = c.Val().([]any)
	return l, ok && len(l) >= least
}

// reply is the list that a script returned.
type reply []any

// text returns the i-th element; nil is "".
func (r reply) text(i int) string {
	s, _ := r[i].(string)
	return s
}

// number returns the i-th element; what is none is 0.
func (r reply) number(i int) int64 {
	switch v := r[i].(type) {
	case int64:
		return v
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	return 0
}

// The numbers of a header: see slotText in scripts/slot.lua.
const (
	headerState = iota
	headerAttempts
	headerToken
	headerPlace
	headerTried
	headerHead
	headerTail = headerHead + itemNumbers
	headerAll  = headerTail + itemNumbers
)

// The numbers of an item in it.
const (
	itemDeleted = iota
	_           // whether it is whole
	itemSequence
	itemFirst
	itemWrites
	_ // its size
	itemNumbers
)

// stateDead is the highest state, that of a dead letter.
const stateDead = 2

// header is what is known of a key beside the payloads.
type header struct {
	n    [headerAll]uint64
	tail bool
}

// parseHeader reads a header. ok is false if it is none.
func parseHeader(s string) (h header, ok bool) {
	n, at := 0, 0
	for at < len(s) {
		end := at
		for end < len(s) && s[end] != ' ' {
			end++
		}
		v, err := strconv.ParseUint(s[at:end], 10, 64)
		if err != nil || n == headerAll {
			return h, false
		}
		h.n[n] = v
		n++
		at = end + 1
	}
	h.tail = n == headerAll
	place := h.n[headerPlace]
	return h, (h.tail || n == headerTail) && h.n[headerState] <= stateDead && (place == 1 || place == 2)
}

// item returns one of the two items; at is headerHead or headerTail.
func (h *header) item(at int, key, payload string, now int64) queue.Item {
	n := h.n[at : at+itemNumbers]
	return queue.Item{
		Key: key, Payload: []byte(payload), Deleted: n[itemDeleted] == 1,
		Sequence: n[itemSequence], First: n[itemFirst], Writes: int(n[itemWrites]),
		Age: micros(now - int64(n[itemFirst])), // sequences are times, more or less
	}
}

// state returns what a reader sees. payloads are by place.
func (h *header) state(key string, payloads [2]string, now int64) (st queue.State) {
	place := h.n[headerPlace] - 1
	if h.tail {
		open := h.item(headerTail, key, payloads[1-place], now)
		st.Open = &open
	}
	if h.n[headerState] == stateDead {
		st.Dead = true
		return st
	}
	head := h.item(headerHead, key, payloads[place], now)
	if h.n[headerTried] == 1 {
		st.Ahead = &head
	} else {
		st.Open = &head
	}
	return st
}

func micros(n int64) time.Duration { return time.Duration(max(n, 0)) * time.Microsecond }
