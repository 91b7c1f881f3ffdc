package protocol_test

import (
	"testing"

	. "github.com/larder-go/larder/internal/protocol"
)

// The transitions, case by case. Tokens 1 to 3 are in use, 9 is fresh.
func TestTransitions(t *testing.T) {
	const w1, w2 = Writers(1), Writers(2)
	var (
		absent = Key{}
		value  = Key{Kind: Filled, Value: Value{Version: 1, Stamp: 1}}
		lease  = Key{Kind: Leased, Token: 1}
		mark   = Key{Kind: Marked, Token: 1, Writers: w1}
		shared = Key{Kind: Marked, Token: 2, Writers: w1 | w2}
		v2     = Value{Version: 2, Stamp: 1}
		filled = Key{Kind: Filled, Value: v2}
	)
	leases := func(current ID, want Reply) func(Key) (Key, bool) {
		return func(k Key) (Key, bool) {
			after, reply := Lease(k, current, 9)
			return after, reply == want
		}
	}
	begins := func(w Writers, wantEpoch ID) func(Key) (Key, bool) {
		return func(k Key) (Key, bool) {
			after, epoch := BeginWrite(k, w, 9)
			return after, epoch == wantEpoch
		}
	}
	ends := func(w Writers, epoch ID, v Value) func(Key) (Key, bool) {
		return func(k Key) (Key, bool) { return EndWrite(k, w, epoch, v, 9), true }
	}
	fills := func(token ID) func(Key) (Key, bool) {
		return func(k Key) (Key, bool) { return Fill(k, token, v2), true }
	}
	releases := func(token ID) func(Key) (Key, bool) {
		return func(k Key) (Key, bool) { return Release(k, token), true }
	}
	invalidates := func(k Key) (Key, bool) { return Invalidate(k, 9), true }

	for _, tc := range []struct {
		name string
		key  Key
		do   func(Key) (after Key, answered bool)
		want Key
	}{
		{"LEASE takes an absent key", absent, leases(1, Granted), Key{Kind: Leased, Token: 9}},
		{"LEASE finds a value", value, leases(1, Found), value},
		{"LEASE takes the place of an expired region's value", value, leases(2, Granted), Key{Kind: Leased, Token: 9}},
		{"LEASE leaves another's lease", lease, leases(1, Busy), lease},
		{"LEASE leaves a mark", mark, leases(1, BeingSaved), mark},

		{"FILL spends its lease", lease, fills(1), filled},
		{"FILL leaves another's lease", lease, fills(2), lease},
		{"FILL leaves an absent key", absent, fills(1), absent},
		{"FILL leaves a value", value, fills(1), value},
		{"FILL leaves a mark, whatever its epoch", mark, fills(1), mark},

		{"RELEASE gives its lease back", lease, releases(1), absent},
		{"RELEASE leaves another's lease", lease, releases(2), lease},
		{"RELEASE leaves a value", value, releases(1), value},
		{"RELEASE leaves a mark, whatever its epoch", mark, releases(1), mark},

		{"INVALIDATE deletes a value", value, invalidates, absent},
		{"INVALIDATE deletes a lease", lease, invalidates, absent},
		{"INVALIDATE leaves a mark under a new epoch", mark, invalidates, Key{Kind: Marked, Token: 9, Writers: w1}},

		{"BEGIN_WRITE marks an absent key", absent, begins(w1, 9), Key{Kind: Marked, Token: 9, Writers: w1}},
		{"BEGIN_WRITE takes the place of a value", value, begins(w1, 9), Key{Kind: Marked, Token: 9, Writers: w1}},
		{"BEGIN_WRITE takes the place of a lease", lease, begins(w1, 9), Key{Kind: Marked, Token: 9, Writers: w1}},
		{"BEGIN_WRITE joins a mark and may not store", mark, begins(w2, 0), Key{Kind: Marked, Token: 9, Writers: w1 | w2}},
		{"BEGIN_WRITE once more is alone still", mark, begins(w1, 9), Key{Kind: Marked, Token: 9, Writers: w1}},

		{"END_WRITE deletes", mark, ends(w1, 1, Value{}), absent},
		{"END_WRITE stores under its epoch", mark, ends(w1, 1, v2), filled},
		{"END_WRITE deletes under another epoch", mark, ends(w1, 3, v2), absent},
		{"END_WRITE of one of two leaves the other", shared, ends(w1, 0, v2), Key{Kind: Marked, Token: 9, Writers: w2}},
		{"END_WRITE that is not in the mark leaves it under a new epoch", mark, ends(w2, 3, v2), Key{Kind: Marked, Token: 9, Writers: w1}},
		{"END_WRITE without a mark deletes a value", value, ends(w1, 3, v2), absent},
		{"END_WRITE without a mark deletes a lease", lease, ends(w1, 3, v2), absent},
		{"END_WRITE without a mark leaves nothing", absent, ends(w1, 3, v2), absent},

		{"a mark outlives one of its tokens", shared, func(k Key) (Key, bool) { return k.Expire(w1), true }, Key{Kind: Marked, Token: 2, Writers: w2}},
		{"a mark ends with its last token", mark, func(k Key) (Key, bool) { return k.Expire(w1), true }, absent},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, answered := tc.do(tc.key)
			if got != tc.want || !answered {
				t.Errorf("%v becomes %v, want %v; answer right: %t", tc.key, got, tc.want, answered)
			}
		})
	}
}

// PEEK answers as LEASE would, except where LEASE takes the key.
func TestPeekAnswersAsLease(t *testing.T) {
	for _, k := range []Key{
		{},
		{Kind: Filled, Value: Value{Version: 1, Stamp: 1}},
		{Kind: Leased, Token: 1},
		{Kind: Marked, Token: 1, Writers: 1},
	} {
		for current := range ID(3) {
			_, want := Lease(k, current, 9)
			if want == Granted {
				want = Free
			}
			if got := Peek(k, current); got != want {
				t.Errorf("%v, generation %v: got %v, want %v", k, current, got, want)
			}
		}
	}
}
