package queue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	redisqueue "github.com/larder-go/larder/distributed/queue"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/queue"
)

const tag = "{larder:q:0}"

// bench is a queue of one partition on a server, and a client of that.
type bench struct {
	*testing.T
	*redisqueue.Queue
	client *redis.Client
}

func newBench(t *testing.T) bench {
	t.Helper()
	client := redistest.MiniClient(t, redistest.Mini(t))
	return bench{t, open(t, client, redisqueue.Options{Partitions: 1}), client}
}

func (b bench) put(key, payload string) uint64 {
	b.Helper()
	sequence, err := b.Enqueue(b.Context(), queue.Write{Key: key, Payload: []byte(payload)})
	if err != nil {
		b.Fatal(err)
	}
	return sequence
}

func (b bench) claim() []queue.Claim {
	b.Helper()
	claims, err := b.Claim(b.T.Context(), queue.ClaimOptions{Max: 10, Visibility: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	return claims
}

func (b bench) letters() []queue.DeadLetter {
	b.Helper()
	letters, err := b.Dead(b.Context(), "", 10)
	if err != nil {
		b.Fatal(err)
	}
	return letters
}

func (b bench) do(args ...any) {
	b.Helper()
	if err := b.client.Do(b.Context(), args...).Err(); err != nil {
		b.Fatal(err)
	}
}

func TestDamagedHeaderBecomesADeadLetter(t *testing.T) {
	for _, header := range []string{"", "nonsense", "0 0 0 1 0 0 1 5 5 1", "3 0 0 1 0 0 1 5 5 1 1", "0 0 0 7 0 0 1 5 5 1 1", strings.Repeat("9", 400), "-1 0 0 1 0 0 1 5 5 1 1"} {
		b := newBench(t)
		b.put("a", "kept")
		b.put("b", "2")
		b.do("hset", tag+"items", "ha", header)
		states, err := b.Lookup(b.T.Context(), []string{"a"})
		if err != nil || !states[0].Dead || states[0].Newest() != nil {
			t.Errorf("Lookup: got %+v, %v; want a dead letter", states, err)
		}
		if claims := b.claim(); len(claims) != 1 || claims[0].Key != "b" {
			t.Errorf("Claim: got %d claims, want that of the other key", len(claims))
		}
		letters := b.letters()
		if len(letters) != 1 || string(letters[0].Payload) != "kept" || !strings.Contains(letters[0].Reason, "damaged") {
			t.Fatalf("Dead: got %d letters, want the damaged one with its payload", len(letters))
		}
		if b.Damaged() == 0 {
			t.Error("Damaged: got 0, want some")
		}
		if err := b.Revive(b.T.Context(), "a", letters[0].Sequence); err != nil {
			t.Fatalf("Revive: got %v, want no error", err)
		}
		if claims := b.claim(); len(claims) != 1 || string(claims[0].Payload) != "kept" {
			t.Errorf("Claim after Revive: got %d claims, want the one that was damaged", len(claims))
		}
	}
}

func TestDamagedPayloadBecomesADeadLetter(t *testing.T) {
	for _, change := range [][]any{{"hset", tag + "items", "1a", "shorter"}, {"hdel", tag + "items", "1a"}} {
		b := newBench(t)
		sequence := b.put("a", "as it was written")
		b.do(change...)
		if claims := b.claim(); len(claims) != 0 {
			t.Errorf("Claim: got %d claims, want none", len(claims))
		}
		letters := b.letters()
		if len(letters) != 1 || letters[0].Sequence != sequence {
			t.Fatalf("Dead: got %d letters, want the damaged one", len(letters))
		}
		if err := b.Drop(b.T.Context(), "a", sequence); err != nil {
			t.Errorf("Drop: got %v, want no error", err)
		}
		if st, err := b.Stats(b.T.Context()); err != nil || st.Bytes != 0 || st.Queued != 0 || st.Dead != 0 {
			t.Errorf("Stats: got %+v, %v; want nothing", st, err)
		}
	}
}

func TestDamageIsCountedAndDoesNotStop(t *testing.T) {
	b := newBench(t)
	b.put("a", "1")
	b.do("zadd", tag+"ready", 1, "of no item")
	b.do("zadd", tag+"claimed", 1, "of no item, either")
	b.do("zadd", tag+"dead", 0, "and not dead")
	b.do("hset", tag+"items", "m", "nonsense")
	if claims := b.claim(); len(claims) != 1 || string(claims[0].Payload) != "1" {
		t.Errorf("Claim: got %d claims, want the one that is intact", len(claims))
	}
	if got := b.letters(); len(got) != 0 {
		t.Errorf("Dead: got %d letters, want none", len(got))
	}
	if b.Damaged() < 4 {
		t.Errorf("Damaged: got %d, want 4 at least", b.Damaged())
	}
	b.put("a", "2")
}

func TestForeignKeys(t *testing.T) {
	for _, name := range []string{"items", "ready"} {
		b := newBench(t)
		b.do("set", tag+name, "of somebody else")
		_, err := b.Enqueue(b.T.Context(), queue.Write{Key: "secret", Payload: []byte("secret")})
		if !errors.Is(err, cache.ErrWrongType) || strings.Contains(err.Error(), "secret") {
			t.Errorf("Enqueue where %s is foreign: got %v, want ErrWrongType", name, err)
		}
	}
}

// Whatever is in the keys, a call returns.
func TestAnyDamage(t *testing.T) {
	b := newBench(t)
	rng := rand.New(rand.NewPCG(1, 2))
	numbers := []string{"0", "1", "2", "3", "9007199254740993", "18446744073709551616", "-1", "x", ""}
	for range 300 {
		var header []string
		for range 9 + rng.IntN(10) {
			header = append(header, numbers[min(rng.IntN(20), rng.IntN(len(numbers)))])
		}
		key := string(rune('a' + rng.IntN(3)))
		b.do("hset", tag+"items", "h"+key, strings.Join(header, " "), fmt.Sprint(1+rng.IntN(2), key), "x")
		b.do("zadd", tag+[]string{"ready", "claimed", "dead", "waiting"}[rng.IntN(4)], rng.IntN(2), key)
		calls(b.T.Context(), b.Queue, key)
	}
	if b.Damaged() == 0 {
		t.Error("Damaged: got 0, want many")
	}
	for _, key := range []string{"a", "b", "c"} {
		b.put(key, "good")
	}
}

// calls makes every call; that it returns is the test.
func calls(ctx context.Context, q *redisqueue.Queue, key string) {
	_, _ = q.Lookup(ctx, []string{key})
	_, _ = q.Enqueue(ctx, queue.Write{Key: key, Mode: queue.Park})
	claims, _ := q.Claim(ctx, queue.ClaimOptions{Max: 2, Visibility: time.Microsecond})
	for i, c := range claims {
		_, _ = q.Settle(ctx, []queue.Outcome{{Claim: c, Result: queue.Result(1 + i%4)}})
	}
	letters, _ := q.Dead(ctx, "", 10)
	for _, l := range letters {
		_ = q.Revive(ctx, l.Key, l.Sequence)
		_ = q.Drop(ctx, l.Key, l.Sequence)
	}
	_, _ = q.Stats(ctx)
	_, _ = q.Barrier(ctx)
	_, _ = q.NextSequence(ctx, key)
}

// What a Flush waits for must end, also if somebody has removed the items.
func TestNothingIsWaitedForThatIsGone(t *testing.T) {
	b := newBench(t)
	b.put("a", "1")
	b.put("b", "1")
	claims, err := b.Claim(b.T.Context(), queue.ClaimOptions{Max: 2, Visibility: time.Microsecond})
	if err != nil || len(claims) != 2 {
		t.Fatalf("Claim: got %d, %v; want 2", len(claims), err)
	}
	if _, err := b.Settle(b.T.Context(), []queue.Outcome{{Claim: claims[0], Result: queue.Failed}}); err != nil {
		t.Fatal(err)
	}
	b.put(claims[1].Key, "2")
	b.do("del", tag+"items")
	barrier := queue.Barrier{b.put("c", "1")}
	if got := b.claim(); len(got) != 1 || got[0].Key != "c" {
		t.Errorf("Claim: got %d, want what is there", len(got))
	}
	if n, err := b.Before(b.T.Context(), barrier); n != 1 || err != nil {
		t.Errorf("Before: got %d, %v; want what is there", n, err)
	}
}

// A key in one set too many is not claimed twice.
func TestDamagedSetsGiveNothingOutTwice(t *testing.T) {
	for _, set := range []string{"ready", "waiting"} {
		b := newBench(t)
		b.put("a", "1")
		if got := b.claim(); len(got) != 1 {
			t.Fatalf("Claim: got %d, want 1", len(got))
		}
		b.do("zadd", tag+set, 1, "a")
		if got := b.claim(); len(got) != 0 || b.Damaged() != 1 {
			t.Errorf("Claim of what is claimed, and in %s, too: got %d, %d damaged; want 0, 1", set, len(got), b.Damaged())
		}
	}
	b := newBench(t)
	b.put("a", "1")
	b.do("zadd", tag+"claimed", 1, "a")
	if got := b.claim(); len(got) != 1 || got[0].Attempt != 1 {
		t.Errorf("Claim of what is open, and in claimed, too: got %d; want it once", len(got))
	}
	b.do("zrem", tag+"claimed", "a")
	b.do("zadd", tag+"waiting", 1, "a")
	if got := b.claim(); len(got) != 1 || got[0].Attempt != 2 {
		t.Errorf("Claim of what is in the wrong set only: got %d; want it", len(got))
	}
}
