package tracking

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/internal/redistest"
)

// killTracking cuts the tracking connections, from the server.
func killTracking(t *testing.T, client *redis.Client) {
	t.Helper()
	list, err := client.ClientList(context.Background()).Result()
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for line := range strings.Lines(list) {
		if strings.Contains(line, " name=larder-near ") {
			id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " ")
			do(t, client, "client", "kill", "id", id)
			killed++
		}
	}
	if killed != 1 {
		t.Fatalf("connections with tracking: got %d, want 1", killed)
	}
}

func TestAKilledConnectionComesBackFlushed(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	_, r := listen(t, server.Client(), Options{Prefix: "p:"})
	r.awaitContact(t)
	for range 5 {
		r.mark()
		killTracking(t, server.Client())
		do(t, server.Client(), "set", "p:k", "v") // perhaps not heard of
		r.wantOrder(t, "lost", "flushed", "contact")
	}
	do(t, server.Client(), "set", "p:after", "v")
	r.await(t, "change", func() bool { return r.changed["p:after"] == 1 })
}

func TestAFrozenServerIsNoticedAndComesBack(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	const interval = 50 * time.Millisecond
	_, r := listen(t, server.Client(), Options{Prefix: "p:", Interval: interval})
	r.awaitContact(t)
	r.mark()
	start := time.Now()
	server.Stop()
	r.await(t, "lost", func() bool { return len(r.order) > 0 && r.order[len(r.order)-1] == "lost" })
	took := time.Since(start)
	server.Cont()
	if err := locked(r, &r.err); !errors.Is(err, ErrSilent) {
		t.Errorf("error: got %v, want ErrSilent", err)
	}
	// An interval until the next heartbeat, two until it is overdue.
	if limit := 3*interval + 500*time.Millisecond; took < interval || took > limit {
		t.Errorf("noticed after %v, want %v to %v", took, interval, limit)
	}
	back := time.Now()
	r.awaitContact(t)
	t.Logf("noticed after %v, back after %v", took, time.Since(back))
	r.wantOrder(t, "lost", "flushed", "contact")
}

func TestARestartedServerComesBackFlushed(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	_, r := listen(t, server.Client(), Options{Prefix: "p:"})
	r.awaitContact(t)
	r.mark()
	server.Restart()
	r.wantOrder(t, "lost", "flushed", "contact")
}

func TestAPrimaryThatBecomesAReplicaIsLeft(t *testing.T) {
	t.Parallel()
	one, two := redistest.Server(t), redistest.Server(t)
	_, r := listen(t, one.Client(), Options{Prefix: "p:"})
	r.awaitContact(t)
	host, port, _ := strings.Cut(two.Addr(), ":")
	do(t, one.Client(), "replicaof", host, port)
	r.await(t, "lost", func() bool { return errors.Is(r.err, ErrTopology) })
	do(t, one.Client(), "replicaof", "no", "one")
	r.awaitContact(t)
}

// Who does not take the changes in time is cut off, and told so.
func TestAnEventThatBlocksLosesContact(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	block := make(chan struct{})
	_, r := listen(t, server.Client(), Options{Prefix: "p:", Interval: 20 * time.Millisecond, Events: Events{
		Changed: func(key string) {
			if key == "p:slow" {
				<-block
			}
		},
	}})
	r.awaitContact(t)
	r.mark()
	do(t, server.Client(), "set", "p:slow", "v")
	// The connection is given up while the event blocks.
	gone := time.Now().Add(patience)
	for {
		list, err := server.Client().ClientList(context.Background()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(list, " name=larder-near ") {
			break
		}
		if time.Now().After(gone) {
			t.Fatal("the connection is still there")
		}
	}
	close(block)
	r.wantOrder(t, "lost", "flushed", "contact")
}

func TestAPanicOfAnEventEndsTheSessionOnly(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	_, r := listen(t, server.Client(), Options{Prefix: "p:", Events: Events{
		Changed: func(key string) {
			if key == "p:bad" {
				panic(key)
			}
		},
	}})
	r.awaitContact(t)
	r.mark()
	do(t, server.Client(), "set", "p:bad", "v")
	r.wantOrder(t, "lost", "flushed", "contact")
	if got := fmt.Sprint(locked(r, &r.err)); strings.Contains(got, "p:bad") {
		t.Errorf("the error tells the key: %s", got)
	}
}
