package distributed

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/envelope"
)

// Reading a sliding entry restarts its window. The reader does not wait for it:
// the command is sent in the background, names the version that was read (so a
// delayed one never prolongs a newer entry), and is left out if this process
// sent one within the last sixteenth of the window.

// touchShare is the part of a window within which it is restarted once only.
const touchShare = 16

// touchMemo remembers when this process last restarted which entry. It is of
// fixed size; entries that share a slot push each other out, which costs a
// command too many and nothing else.
type touchMemo struct {
	epoch time.Time // immutable
	slots [1 << 14]atomic.Pointer[touched]
}

type touched struct {
	id envelope.ID
	at time.Duration // since epoch
}

// claim makes the caller the one who restarts the window of the entry with this
// version, at this time since epoch. It returns what it put into which slot, or
// nil if a restart is not due.
func (m *touchMemo) claim(id envelope.ID, window, now time.Duration) (slot *atomic.Pointer[touched], mine *touched) {
	slot = &m.slots[binary.BigEndian.Uint64(id[:])%uint64(len(m.slots))]
	last := slot.Load()
	if last != nil && last.id == id && now-last.at < window/touchShare {
		return nil, nil
	}
	mine = &touched{id: id, at: now}
	if slot.CompareAndSwap(last, mine) {
		return slot, mine
	}
	if other := slot.Load(); other != nil && other.id == id {
		return nil, nil // another reader of this moment does it
	}
	slot.Store(mine)
	return slot, mine
}

// touchLater restarts the window of the value that was just read.
func (c *Cache) touchLater(ctx context.Context, key string, h envelope.Header) {
	slot, mine := c.touches.claim(h.ID, h.Window, time.Since(c.touches.epoch))
	if mine == nil {
		return
	}
	name := c.name(key)
	cmd := touchScript.Cmd(context.Background(), name, entryArgs(name, h.ID[:])...)
	if !c.transport.Background(name, cmd) {
		slot.CompareAndSwap(mine, nil) // let the next reader try
		c.observe(ctx, cache.Event{Kind: cache.EventTouchDropped, Op: "touch"})
	}
}

// Refresh restarts the sliding window of the entry under key, exactly and
// before it returns: one script, which moves no value. It does nothing for
// anything but a value with a window. See cache.Cache.
func (c *Cache) Refresh(ctx context.Context, key string) error {
	const op = "refresh"
	if err := c.beginKey(ctx, op, key); err != nil {
		return err
	}
	_, err := c.eval(ctx, op, key, touchScript, entryArgs(c.name(key), nil)...)
	return err
}
