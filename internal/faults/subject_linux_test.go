package faults_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/distributed/near"
)

// bound is the near caches'.
const bound = time.Second

// item is what the source holds under a key.
type item struct {
	Key     int
	Version int64
}

type load = func(ctx context.Context, e *cache.Entry) (item, error)

// subject is a cache in a process, and its memory. Safe for concurrent use.
type subject interface {
	get(ctx context.Context, key string, l load) (item, error)
	remove(ctx context.Context, key string) error
	// settled reports whether no removal waits for Redis, and well whether it has
	// known of every change at some moment after t.
	settled() bool
	well(t time.Time) bool
	close(ctx context.Context) error
}

// open makes a subject by name: a mode of the near cache, or "naive".
func open(name, addr string) (subject, error) {
	client := redis.NewClient(&redis.Options{
		Addr: addr, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	if name == "naive" {
		return newNaive(client)
	}
	for _, mode := range modes() {
		if mode.String() == name {
			c, err := near.New(client, &near.Options{Mode: mode, Bound: bound, Remote: distributed.Options{CloseClient: true}})
			if err != nil {
				return nil, err
			}
			return &larder{c, cache.NewTyped[item](c, nil)}, nil
		}
	}
	return nil, fmt.Errorf("no subject %q", name)
}

func modes() []near.Mode { return []near.Mode{near.Bounded, near.Validate, near.Ack} }

func keyOf(id int) string { return "k" + strconv.Itoa(id) }

// larder is a near cache.
type larder struct {
	near *near.Cache
	view *cache.Typed[item]
}

func (l *larder) get(ctx context.Context, key string, load load) (item, error) {
	return l.view.GetOrCreateExclusive(ctx, key, load)
}

func (l *larder) remove(ctx context.Context, key string) error { return l.view.Remove(ctx, key) }
func (l *larder) settled() bool                                { return l.near.NearStats().Intents == 0 }
func (l *larder) close(ctx context.Context) error              { return l.near.Close(ctx) }

func (l *larder) well(t time.Time) bool {
	c := l.near.Contact()
	return c.State == near.Connected && c.Serving && c.AsOf.After(t)
}

// naive is a near cache as it is usually written: writers publish what they have
// removed, and readers drop it when they hear of it, if they do.
type naive struct {
	remote *distributed.Cache
	view   *cache.Typed[item]
	client *redis.Client
	pubsub *redis.PubSub
	ended  chan struct{}

	mu   sync.Mutex
	held map[string]item
}

const removedChannel = "removed"

func newNaive(client *redis.Client) (*naive, error) {
	c, err := distributed.New(client, nil)
	if err != nil {
		return nil, err
	}
	n := &naive{
		remote: c, view: cache.NewTyped[item](c, nil), client: client, held: make(map[string]item),
		pubsub: client.Subscribe(context.Background(), removedChannel), ended: make(chan struct{}),
	}
	go n.listen()
	return n, nil
}

// listen drops what it hears of until close.
func (n *naive) listen() {
	defer close(n.ended)
	for m := range n.pubsub.Channel() {
		n.drop(m.Payload)
	}
}

func (n *naive) drop(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.held, key)
}

func (n *naive) get(ctx context.Context, key string, load load) (item, error) {
	n.mu.Lock()
	got, ok := n.held[key]
	n.mu.Unlock()
	if ok {
		return got, nil
	}
	got, err := n.view.GetOrCreateExclusive(ctx, key, load)
	if err == nil {
		n.mu.Lock()
		n.held[key] = got
		n.mu.Unlock()
	}
	return got, err
}

func (n *naive) remove(ctx context.Context, key string) error {
	err := n.view.Remove(ctx, key)
	n.drop(key)
	if err == nil {
		err = n.client.Publish(ctx, removedChannel, key).Err()
	}
	return err
}

func (n *naive) settled() bool       { return false } // nothing is retried
func (n *naive) well(time.Time) bool { return true }

func (n *naive) close(ctx context.Context) error {
	_ = n.pubsub.Close() // the client's end says the same
	<-n.ended
	err := n.remote.Close(ctx)
	_ = n.client.Close()
	return err
}
