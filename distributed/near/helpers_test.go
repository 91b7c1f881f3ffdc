package near

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// hand is a listener whose signals a test gives by hand.
type hand struct {
	signals
	unsupported bool
}

func (h *hand) Supported() (yes, known bool) { return !h.unsupported, true }
func (h *hand) Close(context.Context) error  { return nil }

const prefix = "near:"

// rig is a near cache whose news a test gives by hand, and others that write what
// it reads.
type rig struct {
	tb     testing.TB
	ctx    context.Context
	mini   *miniredis.Miniredis
	client *redis.Client
	near   *Cache
	hand   *hand
	other  *distributed.Cache // of another process, without a near cache
	names  *cache.Typed[string]
	others *cache.Typed[string]
}

// newRig returns a rig in contact.
func newRig(tb testing.TB, opts Options) *rig {
	tb.Helper()
	r := newRigOf(tb, opts, &hand{})
	r.contact()
	return r
}

func newRigOf(tb testing.TB, opts Options, h *hand) *rig {
	tb.Helper()
	mini := redistest.Mini(tb)
	r := &rig{tb: tb, ctx: context.Background(), mini: mini, client: redistest.MiniClient(tb, mini), hand: h}
	opts.Remote.Prefix = prefix
	if opts.Remote.Budget == 0 {
		opts.Remote.Budget = 5 * time.Second // a busy machine is no fault of the server
	}
	var err error
	r.near, err = build(r.client, &opts, func(_ redis.UniversalClient, s signals) listener {
		h.signals = s
		return h
	})
	if err != nil {
		tb.Fatal(err)
	}
	r.other, err = distributed.New(r.client, &distributed.Options{Prefix: prefix, Budget: 5 * time.Second})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		r.must(r.near.Close(r.ctx))
		r.must(r.other.Close(r.ctx))
	})
	r.names = cache.NewTyped[string](r.near, nil)
	r.others = cache.NewTyped[string](r.other, nil)
	return r
}

func (r *rig) must(err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Fatal(err)
	}
}

// contact tells the near cache that nothing is missing as of now.
func (r *rig) contact() { r.hand.Contact(time.Now()) }

// write stores a value as another process does, without the news of it.
func (r *rig) write(key, value string, opts cache.EntryOptions) {
	r.tb.Helper()
	r.must(r.others.Set(r.ctx, key, value, opts))
}

// hold makes the near cache hold value.
func (r *rig) hold(key, value string, opts cache.EntryOptions) {
	r.tb.Helper()
	r.write(key, value, opts)
	r.wantGet(key, value)
	r.wantHeld(key, true)
}

// wantGet checks what a read through the near cache returns.
func (r *rig) wantGet(key, want string) {
	r.tb.Helper()
	got, ok, err := r.names.Get(r.ctx, key)
	if err != nil || !ok || got != want {
		r.tb.Errorf("Get = %q, %v, %v, want %q", got, ok, err, want)
	}
}

// wantMiss checks that a read through the near cache finds nothing.
func (r *rig) wantMiss(key string) {
	r.tb.Helper()
	if got, ok, err := r.names.Get(r.ctx, key); err != nil || ok {
		r.tb.Errorf("Get = %q, %v, %v, want a miss", got, ok, err)
	}
}

// wantHeld checks whether the near cache serves key by itself.
func (r *rig) wantHeld(key string, want bool) {
	r.tb.Helper()
	if _, ok := r.near.GetNear(r.ctx, key); ok != want {
		r.tb.Errorf("held and served = %v, want %v", ok, want)
	}
}

// fetch is the part of a read before its put.
func (r *rig) fetch(key string) (put func()) {
	r.tb.Helper()
	data, ticket, ok, err := r.near.Fetch(r.ctx, key, nil)
	if !ok || err != nil {
		r.tb.Fatalf("Fetch = %v, %v, want a value", ok, err)
	}
	return func() { r.near.PutNear(key, string(data[9:]), ticket) }
}

// changed tells of a change of the Redis key.
func (r *rig) changed(key string) { r.hand.Changed(prefix + key) }

func inRegion(name string) cache.EntryOptions {
	return cache.EntryOptions{Tokens: []cache.Token{cache.RegionToken(name)}}
}
