package distributed

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/envelope"
)

// answer is what a script that begins with entry.lua says: one word, and what
// belongs to it.
type answer struct {
	word string
	more []any
}

var errBadAnswer = errors.New("larder: a script's answer cannot be read")

// runScript runs a script that begins with entry.lua. Whatever it refuses is an
// error. Where what is there depends on regions it takes a round trip more for
// their generations, and one for the verdict on it.
func (c *Cache) runScript(ctx context.Context, op, key string, s *transport.Script, kind transport.Kind, args ...any) (answer, error) {
	a, err := c.runWith(ctx, op, key, nil, s, kind, args...)
	for n := 0; err == nil && a.word == "stamped"; n++ {
		if n == maxVerdicts {
			return answer{}, failed(op, key, errContended)
		}
		verdict, judgeErr := c.verdict(ctx, a)
		if judgeErr != nil {
			return answer{}, failed(op, key, judgeErr)
		}
		a, err = c.runWith(ctx, op, key, verdict, s, kind, args...)
	}
	return a, err
}

// runWith runs a script with a verdict, or none.
func (c *Cache) runWith(ctx context.Context, op, key string, verdict []byte, s *transport.Script, kind transport.Kind, args ...any) (answer, error) {
	name := c.name(key)
	all := entryArgs(name, args...)
	if verdict != nil {
		all[0] = append(all[0].([]byte), verdict...)
	}
	cmd, err := c.transport.Eval(ctx, s, name, kind, all...)
	if err != nil {
		return answer{}, failed(op, key, serverError(err))
	}
	parts, err := cmd.Slice()
	if err != nil {
		return answer{}, failed(op, key, err)
	}
	a := answer{more: parts}
	a.word, a.more = a.text(0), parts[min(1, len(parts)):]
	return a, failed(op, key, a.refusal())
}

// entryArgs puts the digest of the key before the arguments of a script that
// begins with entry.lua.
func entryArgs(name string, args ...any) []any {
	digest := binary.BigEndian.AppendUint64(nil, envelope.Digest(name))
	return append([]any{digest}, args...)
}

// text returns one of the parts, or "".
func (a answer) text(i int) string {
	if i >= len(a.more) {
		return ""
	}
	s, _ := a.more[i].(string)
	return s
}

// number returns one of the parts, or 0.
func (a answer) number(i int) int64 {
	if i >= len(a.more) {
		return 0
	}
	n, _ := a.more[i].(int64)
	return n
}

// order returns one of the parts that is the eight bytes of an order, or 0.
func (a answer) order(i int) uint64 {
	if s := a.text(i); len(s) == 8 {
		return binary.BigEndian.Uint64([]byte(s))
	}
	return 0
}

// fence returns one of the parts that is a fencing token, or 0.
func (a answer) fence(i int) uint64 {
	n, _ := strconv.ParseUint(a.text(i), 10, 64)
	return n
}

// refusal returns the error that a means, or nil. Foreign data is no entry.
func (a answer) refusal() error {
	switch a.word {
	case "ok", "same", "gone", "hold", "over", "stamped":
		return nil
	case "none":
		return cache.ErrNoEntry
	case "other":
		if _, counter := parseCounter([]byte(a.text(0))); counter {
			return cache.ErrWrongType
		}
		return cache.ErrNoEntry
	case "version":
		e := new(cache.VersionMismatchError)
		copy(e.Current[:], a.text(0))
		return e
	case "full":
		return cache.ErrTooManyWriters
	case "marked":
		return cache.ErrBeingWritten
	case "outdated":
		return &cache.OutdatedError{Current: a.order(0)}
	case "exists":
		return cache.ErrExists
	case "locked":
		return cache.ErrLocked
	case "unlocked":
		return cache.ErrNotLocked
	case "handle":
		return cache.ErrInvalidHandle
	}
	return errBadAnswer
}

// millis returns a part that is a number of milliseconds as text, or 0.
func (a answer) millis(i int) time.Duration {
	n, _ := strconv.ParseInt(a.text(i), 10, 64)
	return time.Duration(n) * time.Millisecond
}
