package tracking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/auth"

	"github.com/larder-go/larder/internal/redistest"
)

func TestEveryKindOfChangeArrives(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	client := server.Client()
	_, r := listen(t, client, Options{Prefix: "p:"})
	r.awaitContact(t)
	cases := map[string][][]any{
		"set":             {{"set", "p:k", "v"}},
		"delete":          {{"set", "p:k", "v"}, {"del", "p:k"}},
		"unlink":          {{"set", "p:k", "v"}, {"unlink", "p:k"}},
		"new lifetime":    {{"set", "p:k", "v"}, {"pexpire", "p:k", 100_000}},
		"expiry":          {{"set", "p:k", "v", "px", 1}},
		"rename":          {{"set", "other", "v"}, {"rename", "other", "p:k"}},
		"script":          {{"eval", "return redis.call('set', KEYS[1], 'v')", 1, "p:k"}},
		"field of a hash": {{"hset", "p:k", "f", "v"}},
	}
	for name, commands := range cases {
		t.Run(name, func(t *testing.T) {
			do(t, client, "del", "p:k")
			for _, c := range commands {
				r.awaitContact(t)
				r.mu.Lock()
				clear(r.changed)
				r.mu.Unlock()
				do(t, client, c...)
			}
			least := 1
			if name == "expiry" {
				least = 2 // when it is set, and when it is gone
			}
			r.await(t, "change", func() bool { return r.changed["p:k"] >= least })
		})
	}
}

func TestOtherDatabasesCountAndOtherPrefixesDoNot(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	_, r := listen(t, server.Client(), Options{Prefix: "p:"})
	r.awaitContact(t)
	o := *server.Client().Options()
	o.DB = 3
	elsewhere := redis.NewClient(&o)
	defer elsewhere.Close()
	do(t, elsewhere, "set", "other:k", "v")
	do(t, elsewhere, "set", "p:k", "v")
	r.await(t, "change", func() bool { return r.changed["p:k"] == 1 })
	if n := r.keys(); n != 1 {
		t.Errorf("keys: got %d, want p:k only", n)
	}
}

func TestFlushAndEvictionArrive(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t, "--maxmemory", "3mb", "--maxmemory-policy", "allkeys-random")
	client := server.Client()
	_, r := listen(t, client, Options{Prefix: "p:"})
	r.awaitContact(t)
	for _, command := range []string{"flushdb", "flushall"} {
		before := locked(r, &r.flushes)
		do(t, client, command)
		r.await(t, command, func() bool { return r.flushes > before })
	}
	value := strings.Repeat("v", 10_000)
	for i := range 500 {
		do(t, client, "set", fmt.Sprintf("p:%d", i), value)
	}
	r.awaitContact(t)
	for i := range 500 {
		key := fmt.Sprintf("p:%d", i)
		n, err := client.Exists(context.Background(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if r.mu.Lock(); n == 0 && r.changed[key] < 2 {
			t.Errorf("%s was evicted; heard of it %d times, want 2", key, r.changed[key])
		}
		r.mu.Unlock()
	}
}

func TestABurstArrivesInFull(t *testing.T) {
	t.Parallel()
	keys := 100_000
	if testing.Short() {
		keys = 10_000
	}
	server := redistest.Server(t)
	_, r := listen(t, server.Client(), Options{Prefix: "p:", Timeout: 5 * time.Second})
	r.awaitContact(t)
	start := time.Now()
	for from := 0; from < keys; from += 1000 {
		pipe := server.Client().Pipeline()
		for i := range 1000 {
			pipe.Set(context.Background(), fmt.Sprintf("p:%d", from+i), "v", 0)
		}
		if _, err := pipe.Exec(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	r.awaitContact(t)
	t.Logf("%d keys in %v", keys, time.Since(start))
	if n, flushes := r.keys(), locked(r, &r.flushes); n != keys || flushes != 1 {
		t.Errorf("got %d keys and %d flushes, want %d and 1", n, flushes, keys)
	}
	// In one turn of the server's event loop, so in one message.
	do(t, server.Client(), "eval", "for i = 1, tonumber(ARGV[1]) do redis.call('set', 'p:s' .. i, '') end", 0, keys)
	r.awaitContact(t)
	if n := r.keys() - keys; n != keys {
		t.Errorf("got %d keys, want %d", n, keys)
	}
}

// Contact is the promise everything rests on: each change that was acknowledged
// before asOf has been handed on.
func TestContactIsNeverAheadOfChanges(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	var (
		mu     sync.Mutex
		acked  = make(map[string]time.Time)
		checks int
	)
	seen := make(map[string]bool)
	l := New(server.Client(), Options{Prefix: "p:", Interval: time.Millisecond, Timeout: patience, Events: Events{
		Changed: func(key string) { seen[key] = true },
		Contact: func(asOf time.Time) {
			mu.Lock()
			defer mu.Unlock()
			for key, at := range acked {
				if at.Before(asOf) {
					if !seen[key] {
						t.Errorf("a change acknowledged %v before asOf was not handed on", asOf.Sub(at))
					}
					delete(acked, key)
					delete(seen, key)
					checks++
				}
			}
		},
		Lost: func(err error) { t.Errorf("lost: %v", err) },
	}})
	defer shut(t, l)
	for supported := false; !supported; supported, _ = l.Supported() {
		do(t, server.Client(), "ping")
	}
	do(t, server.Client(), "ping")
	rounds := 20_000
	if testing.Short() {
		rounds = 3000
	}
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range rounds / 4 {
				key := fmt.Sprintf("p:%d:%d", w, i)
				if err := server.Client().Set(context.Background(), key, "", 0).Err(); err != nil {
					t.Error(err)
					return
				}
				now := time.Now()
				mu.Lock()
				acked[key] = now
				mu.Unlock()
			}
		})
	}
	writers.Wait()
	for end := time.Now().Add(patience); ; {
		mu.Lock()
		left := len(acked)
		mu.Unlock()
		if left == 0 || t.Failed() {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d changes not covered by any Contact", left)
		}
		do(t, server.Client(), "ping")
	}
	if checks != rounds {
		t.Errorf("checks: got %d, want %d", checks, rounds)
	}
}

func TestMessagesOfTheChannelsArrive(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	_, r := listen(t, server.Client(), Options{Prefix: "p:", Channels: []string{"p:a", "p:b"}})
	r.awaitContact(t)
	do(t, server.Client(), "publish", "p:other", "not for us")
	do(t, server.Client(), "publish", "p:a", "one")
	do(t, server.Client(), "publish", "p:b", "two")
	r.await(t, "messages", func() bool { return len(r.messages) >= 2 })
	want := []Message{{"p:a", "one", 0, 1}, {"p:b", "two", 0, 1}}
	if got := locked(r, &r.messages); !slices.Equal(got, want) {
		t.Errorf("messages: got %v, want %v", got, want)
	}
}

// A message that has come from every primary comes after all changes from before
// it was published.
func TestMessagesComeAfterChanges(t *testing.T) {
	t.Parallel()
	var servers []redis.UniversalClient
	servers = append(servers, redistest.Server(t).Client())
	if !testing.Short() {
		servers = append(servers, redistest.Cluster(t, 3).Client())
	}
	for _, client := range servers {
		t.Run(fmt.Sprintf("%T", client), func(t *testing.T) {
			// A busy machine is no reason to lose contact: messages would be lost with it.
			_, r := listen(t, client, Options{Prefix: "p:", Channels: []string{"p:ch"}, Timeout: 5 * time.Second})
			r.awaitContact(t)
			for i := range 500 {
				key := fmt.Sprintf("p:%d", i)
				do(t, client, "set", key, "v")
				do(t, client, "publish", "p:ch", key)
				r.await(t, "messages", func() bool {
					n := len(r.messages)
					return n > 0 && n == (i+1)*r.messages[0].Of
				})
				if n := r.keys(); n != i+1 {
					t.Fatalf("the message came after %d changes, want %d", n, i+1)
				}
			}
		})
	}
}

func TestCredentialsOfTheClientAreUsed(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	admin := server.Client()
	do(t, admin, "acl", "setuser", "reader", "on", ">secret", "~p:*", "resetchannels", "+@all")
	o := *admin.Options()
	o.Username, o.Password = "reader", "secret"
	for name, change := range map[string]func(*redis.Options){
		"static":   func(*redis.Options) {},
		"provider": func(o *redis.Options) { o.CredentialsProvider = func() (string, string) { return "reader", "secret" } },
		"provider with context": func(o *redis.Options) {
			o.CredentialsProviderContext = func(context.Context) (string, string, error) { return "reader", "secret", nil }
		},
		"streaming provider": func(o *redis.Options) { o.StreamingCredentialsProvider = streaming{} },
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			change(&o)
			client := redis.NewClient(&o)
			defer client.Close()
			l, r := listen(t, client, Options{Prefix: "p:"}) // not allowed to subscribe
			r.awaitContact(t)
			do(t, admin, "set", "p:"+name, "v")
			r.await(t, "change", func() bool { return r.changed["p:"+name] == 1 })
			shut(t, l)
		})
	}
	t.Run("wrong", func(t *testing.T) {
		o := o
		o.Password = "wrong"
		client := redis.NewClient(&o)
		defer client.Close()
		l, r := listen(t, client, Options{Prefix: "p:"})
		r.wantOrder(t, "lost")
		if _, known := l.Supported(); known {
			t.Errorf("a wrong password passes for %v", locked(r, &r.err))
		}
	})
}

// streaming is a provider whose credentials never change.
type streaming struct{}

func (streaming) Subscribe(auth.CredentialsListener) (auth.Credentials, auth.UnsubscribeFunc, error) {
	return auth.NewBasicCredentials("reader", "secret"), func() error { return nil }, nil
}

func TestWhoMayNotTrackIsUnsupported(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	do(t, server.Client(), "acl", "setuser", "default", "-client|tracking")
	l, r := listen(t, server.Client(), Options{Prefix: "p:"})
	r.await(t, "refusal", func() bool { return errors.Is(r.err, ErrUnsupported) })
	if supported, known := l.Supported(); supported || !known {
		t.Errorf("Supported: got %t, %t, want false, true", supported, known)
	}
}

func TestMiniredisAndRingAreUnsupported(t *testing.T) {
	t.Parallel()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}, HeartbeatFn: func(context.Context, *redis.Client) bool { return true }})
	defer ring.Close()
	for name, client := range map[string]redis.UniversalClient{
		"miniredis": redistest.MiniClient(t, redistest.Mini(t)),
		"ring":      ring,
	} {
		t.Run(name, func(t *testing.T) {
			l, r := listen(t, client, Options{Prefix: "p:"})
			r.await(t, "refusal", func() bool { return errors.Is(r.err, ErrUnsupported) })
			if supported, known := l.Supported(); supported || !known {
				t.Errorf("Supported: got %t, %t, want false, true", supported, known)
			}
		})
	}
}
