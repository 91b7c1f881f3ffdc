package distributed_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// step is something to do at a time, and what is there afterwards.
type step struct {
	at   time.Duration
	do   string
	want string // as server.state describes it
}

// While a lock stands the entry does not expire; when it ends, what is past its
// deadline is gone at that moment and nobody has to do anything.
func TestLocksToTheMillisecond(t *testing.T) {
	const s = time.Second
	ms := func(d time.Duration) time.Duration { return d - time.Millisecond }
	for name, tc := range map[string]struct {
		opts  cache.EntryOptions
		steps []step
	}{
		"runs out before the deadline": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 4s", "v!"}, {ms(4 * s), "", "v!"}, {4 * s, "", "v"}, {ms(10 * s), "", "v"}, {10 * s, "", "absent"}}},
		"runs out after the deadline": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {10 * s, "", "v!"}, {ms(14 * s), "", "v!"}, {14 * s, "", "absent"}}},
		"runs out at the deadline": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 10s", "v!"}, {ms(10 * s), "", "v!"}, {10 * s, "", "absent"}}},
		"runs out on what never expires": {forever, []step{
			{0, "lock 4s", "v!"}, {ms(4 * s), "", "v!"}, {4 * s, "", "v"}, {1000 * s, "", "v"}}},
		"unlocked before the deadline": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {5 * s, "unlock 0s", "v"}, {ms(10 * s), "", "v"}, {10 * s, "", "absent"}}},
		"unlocked after the deadline": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {12 * s, "unlock 0s", "absent"}}},
		"unlocked at the deadline": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {10 * s, "unlock 0s", "absent"}}},
		"unlocked just before": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {ms(10 * s), "unlock 0s", "v"}, {10 * s, "", "absent"}}},
		"unlocked to live": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {12 * s, "unlock 5s", "v"}, {ms(17 * s), "", "v"}, {17 * s, "", "absent"}}},
		"unlocked to live shorter": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {1 * s, "unlock 5s", "v"}, {ms(6 * s), "", "v"}, {6 * s, "", "absent"}}},
		"locked again": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 4s", "v!"}, {4 * s, "lock 4s", "v!"}, {8 * s, "lock 4s", "v!"}, {ms(12 * s), "", "v!"}, {12 * s, "", "absent"}}},
		"locked again after unlock": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 4s", "v!"}, {3 * s, "unlock 0s", "v"}, {3 * s, "lock 1s", "v!"}, {4 * s, "", "v"}, {10 * s, "", "absent"}}},
		"reset while locked": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {1 * s, "reset 2s", "v!"}, {ms(14 * s), "", "v!"}, {14 * s, "", "absent"}}},
		"reset while locked, longer": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 4s", "v!"}, {1 * s, "reset 20s", "v!"}, {4 * s, "", "v"}, {ms(21 * s), "", "v"}, {21 * s, "", "absent"}}},
		"reset and unlocked": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {1 * s, "reset 2s", "v!"}, {3 * s, "unlock 0s", "absent"}}},
		"reset after the lock ran out": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 4s", "v!"}, {5 * s, "reset 20s", "v"}, {ms(25 * s), "", "v"}, {25 * s, "", "absent"}}},
		"reset": {cache.EntryOptions{TTL: 10 * s}, []step{
			{5 * s, "reset 2s", "v"}, {ms(7 * s), "", "v"}, {7 * s, "", "absent"}}},
		"reset what never expires": {forever, []step{
			{5 * s, "reset 2s", "v"}, {ms(7 * s), "", "v"}, {7 * s, "", "absent"}}},
		"reset beyond a window that was the bound": {cache.EntryOptions{SlidingExpiration: 10 * s, TTL: 10 * s}, []step{
			{0, "reset 30s", "v"}, {9 * s, "read", "v"}, {ms(19 * s), "", "v"}, {19 * s, "", "absent"}}},
		"sliding, not read": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {12 * s, "unlock 0s", "absent"}}},
		"sliding, read while locked": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {8 * s, "read", "v!"}, {12 * s, "unlock 0s", "v"}, {ms(18 * s), "", "v"}, {18 * s, "", "absent"}}},
		"sliding, read and run out": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {8 * s, "read", "v!"}, {14 * s, "", "v"}, {ms(18 * s), "", "v"}, {18 * s, "", "absent"}}},
		"sliding, refreshed while locked": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {8 * s, "refresh", "v!"}, {ms(18 * s), "", "v"}, {18 * s, "", "absent"}}},
		"sliding, read after the lock ran out": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{0, "lock 4s", "v!"}, {9 * s, "read", "v"}, {18 * s, "read", "v"}, {ms(28 * s), "", "v"}, {28 * s, "", "absent"}}},
		"sliding in a bound, read while locked": {cache.EntryOptions{SlidingExpiration: 10 * s, TTL: 15 * s}, []step{
			{0, "lock 12s", "v!"}, {8 * s, "read", "v!"}, {ms(15 * s), "", "v"}, {15 * s, "", "absent"}}},
		"sliding in a bound that passed": {cache.EntryOptions{SlidingExpiration: 10 * s, TTL: 15 * s}, []step{
			{0, "lock 30s", "v!"}, {20 * s, "refresh", "v!"}, {21 * s, "unlock 0s", "absent"}}},
		"sliding, locking is a read": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{8 * s, "lock 1s", "v!"}, {ms(18 * s), "", "v"}, {18 * s, "", "absent"}}},
		"sliding, unlocked to live": {cache.EntryOptions{SlidingExpiration: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {12 * s, "unlock 15s", "v"}, {20 * s, "read", "v"}, {ms(27 * s), "", "v"}, {27 * s, "", "absent"}}},
		"set drops the lock": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {1 * s, "set 2s", "w"}, {ms(3 * s), "", "w"}, {3 * s, "", "absent"}}},
		"put": {cache.EntryOptions{TTL: 10 * s}, []step{
			{0, "lock 14s", "v!"}, {12 * s, "put 2s", "w"}, {ms(14 * s), "", "w"}, {14 * s, "", "absent"}}},
		"held": {cache.EntryOptions{TTL: 1 * s}, []step{
			{1 * s, "force 4s", "held"}, {ms(5 * s), "", "held"}, {5 * s, "", "absent"}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runSteps(t, tc.opts, tc.steps) })
		})
	}
}

func runSteps(t *testing.T, opts cache.EntryOptions, steps []step) {
	m := redistest.Mini(t)
	client := redistest.MiniClient(t, m)
	s := server{open(t, client, distributed.Options{}), client, ""}
	ctx := t.Context()
	clock := newClock()
	must(t, s.Set(ctx, "k", []byte("v"), opts))
	var handle cache.LockHandle
	for _, step := range steps {
		clock.at(step.at)
		verb, arg, _ := strings.Cut(step.do, " ")
		d, _ := time.ParseDuration(arg)
		var err error
		switch verb {
		case "lock", "force":
			_, handle, err = s.GetAndLock(ctx, "k", d, cache.LockOptions{Force: verb == "force"})
		case "unlock":
			err = s.Unlock(ctx, "k", handle, d)
		case "reset":
			err = s.ResetTTL(ctx, "k", d)
		case "set":
			err = s.Set(ctx, "k", []byte("w"), cache.EntryOptions{TTL: d})
		case "put":
			_, err = s.PutAndUnlock(ctx, "k", []byte("w"), handle, cache.EntryOptions{TTL: d})
		case "read":
			_, _, err = s.Get(ctx, "k")
		case "refresh":
			err = s.Refresh(ctx, "k")
		}
		if err != nil {
			t.Fatalf("at %v: %s: %v", step.at, step.do, err)
		}
		synctest.Wait()
		if got := s.state(t, "k"); got != step.want {
			t.Fatalf("at %v: after %q it is %s, want %s", step.at, step.do, got, step.want)
		}
		if step.want != "absent" && step.want != "held" && step.do == "read" {
			wantValue(t, s, "k", strings.TrimSuffix(step.want, "!"))
		}
	}
}
