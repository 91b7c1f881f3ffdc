package distributed

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/internal/envelope"
)

func id(n uint64) (id envelope.ID) { // all in one slot
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

func TestTouchMemo(t *testing.T) {
	var m touchMemo
	claim := func(n uint64, now time.Duration) bool {
		_, mine := m.claim(id(n), 160, now)
		return mine != nil
	}
	for i, step := range []struct {
		id   uint64
		now  time.Duration
		want bool
	}{
		{1, 0, true}, {1, 0, false}, {1, 9, false}, {1, 10, true}, {1, 19, false}, {1, 20, true},
		{2, 20, true}, {2, 20, false}, // pushes 1 out
		{1, 20, true}, {1, 20, false},
	} {
		if got := claim(step.id, step.now); got != step.want {
			t.Errorf("step %d: claim of %d at %d: got %v, want %v", i, step.id, step.now, got, step.want)
		}
	}
}

// Two entries that share a slot must not keep each other's windows from being
// restarted, however their readers interleave.
func TestTouchMemoNeverForgetsAnEntry(t *testing.T) {
	var m touchMemo
	var lost atomic.Int64
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			for i := range uint64(5000) {
				if _, mine := m.claim(id(g<<32|i), time.Hour, 0); mine == nil {
					lost.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got := lost.Load(); got != 0 {
		t.Errorf("%d entries that nobody else read were left out", got)
	}
}

func TestDroppedTouchIsForgotten(t *testing.T) {
	client := redis.NewClient(&redis.Options{})
	defer client.Close()
	c, err := New(client, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil { // now it drops everything
		t.Fatal(err)
	}
	c.touchLater(t.Context(), "k", envelope.Header{Kind: envelope.Value, ID: id(1), Window: time.Hour})
	if _, mine := c.touches.claim(id(1), time.Hour, time.Since(c.touches.epoch)); mine == nil {
		t.Error("the next reader is kept from restarting a window that was not restarted")
	}
}

// The scripts take the header apart by themselves.
func TestScriptsKnowTheHeader(t *testing.T) {
	h := envelope.Append(nil, envelope.Header{Kind: envelope.Hold}, 0, nil)
	l := envelope.Append(nil, envelope.Header{Kind: envelope.Lease}, 0, nil)
	if string(h[:len(holdHead)]) != holdHead || string(l[:len(leaseHead)]) != leaseHead {
		t.Errorf("got %q and %q, want what entries begin with", holdHead, leaseHead)
	}
	if len(l) != 56 {
		t.Errorf("the header is %d bytes, the scripts take it for 56", len(l))
	}
}

func TestParseCounter(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "7": 7, "-7": -7, "9223372036854775807": 1<<63 - 1, "-9223372036854775808": -1 << 63,
	} {
		if got, ok := parseCounter([]byte(text)); !ok || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "-", "+1", "-0", "00", "01", " 1", "1 ", "1.0", "1e3", "0x1", "1_0", "9223372036854775808", "١"} {
		if got, ok := parseCounter([]byte(text)); ok {
			t.Errorf("%q: got %d, want it refused", text, got)
		}
	}
}
