// Package transport moves commands to Redis for package distributed: it shares
// round trips between concurrent calls, bounds each call by a time budget, and
// guards each node with a breaker. It knows nothing of entries.
package transport

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/failover"
	"github.com/larder-go/larder/internal/breaker"
	"github.com/redis/go-redis/v9"
)

// DefaultBudget is the Budget of zero Options.
const DefaultBudget = 100 * time.Millisecond

// followWithin is how soon a failover that Sentinel has made is noticed.
const followWithin = 4 * time.Second

// Kind says what is lost when a reply is.
type Kind uint8

const (
	// Read changes nothing: a lost reply is ErrUnavailable.
	Read Kind = iota
	// Write changes something: a lost reply is ErrOutcomeUnknown.
	Write
)

// Options tune a Transport. The zero value is ready to use.
type Options struct {
	// Budget bounds each call, together with its context: from when it is made
	// until it returns, connecting included. Zero means 100 ms.
	Budget time.Duration

	// Breaker tunes the breaker in front of each node.
	Breaker breaker.Options

	// OnBreaker, unless nil, hears of each change of a node's breaker. It must
	// not block.
	OnBreaker func(state breaker.State)

	// OnCall, unless nil, hears of each command that was answered (err is nil then,
	// also if the answer is a redis.Error), or failed for a reason other than its
	// caller's context or an open breaker, with its name and how long it took. It
	// must not block.
	OnCall func(ctx context.Context, op string, d time.Duration, err error)

	// CloseClient makes Close close the client given to New, too.
	CloseClient bool
}

// Transport is safe for concurrent use.
//
// An error of a call is one of these, to be told apart by errors.Is:
//   - redis.Nil or another redis.Error: the server's answer to this command;
//   - the context's own error;
//   - cache.ErrUnavailable: not done, or a Read without an answer;
//   - cache.ErrOutcomeUnknown: a Write that was or may have been sent, also if
//     its context ended, whose error it then wraps too;
//   - cache.ErrClosed: after Close.
//
// After an error that is no redis.Error a command may still be in use: do not
// look at it, and do not change what its arguments point to.
type Transport struct {
	opts   Options
	client redis.UniversalClient // own, or the caller's if its type is unknown
	given  redis.UniversalClient
	own    bool
	follow *failover.Follower // nil without Sentinel
	routes router
	calls  sync.Pool // of *call

	rejected, failed atomic.Uint64

	mu      sync.Mutex
	closed  bool
	started sync.WaitGroup // goroutines that are no lane
}

// New returns a transport over client, which it neither changes nor, without
// CloseClient, closes. It does not dial, and does not fail when the server is
// down. A client that is nil or closed is cache.ErrInvalidConfig.
//
// It works on a client of its own, with the options of the given one except
// that nothing is retried and context deadlines are honoured, and on up to eight
// connections more per node, for as many calls at once that do not share. Hooks
// added to the given client are not carried over: go-redis does not tell them. A client
// of a type that go-redis does not define is used as it is. With Sentinel it is
// asked once a second, from the first call on, whether the primary is still the
// same; connections to another are closed.
func New(client redis.UniversalClient, opts Options) (*Transport, error) {
	if opts.Budget <= 0 {
		opts.Budget = DefaultBudget
	}
	t := &Transport{opts: opts, given: client}
	if t.follow = failover.New(client, followWithin); t.follow != nil {
		client = t.follow.Client()
	}
	own, isOwn, err := ownClient(client, opts.Budget)
	if err != nil {
		return nil, err
	}
	t.client, t.own = own, isOwn
	t.calls.New = func() any { return newCall() }
	t.routes = newRouter(t, own)
	return t, nil
}

// Get returns the value under key, or redis.Nil for a miss. The slice belongs
// to the caller. A Redis error (WRONGTYPE) is of this key alone. It costs a
// round trip that concurrent calls share, and the slice.
func (t *Transport) Get(ctx context.Context, key string) ([]byte, error) {
	n, err := t.admit(ctx, key)
	if err != nil {
		return nil, err
	}
	c := t.calls.Get().(*call)
	c.get, c.key, c.size = true, key, len(key)+32
	start := time.Now()
	c.start = start
	if through, err := t.run(ctx, n, c, Read); !through {
		return nil, t.report(ctx, "get", start, err)
	}
	value, err := c.outcome()
	t.release(c)
	if err == nil || err == redis.Nil { //nolint:errorlint // ours, unwrapped
		return value, t.answered(ctx, "get", start, err)
	}
	if t.routes.redirects(err) {
		cmd := redis.NewStringCmd(ctx, "get", key)
		if err = t.redirect(ctx, start, cmd); err == nil {
			value, err = cmd.Bytes()
		}
		return value, t.settle(ctx, "get", start, err, Read, true)
	}
	return nil, t.settle(ctx, "get", start, err, Read, true)
}

// Do runs a command on the node of key, its only key. The result is in cmd if
// the error is nil or a redis.Error. It costs a round trip that concurrent
// calls share.
func (t *Transport) Do(ctx context.Context, key string, cmd redis.Cmder, kind Kind) error {
	n, err := t.admit(ctx, key)
	if err != nil {
		return err
	}
	c := t.calls.Get().(*call)
	c.one[0] = cmd
	c.cmds, c.size = c.one[:], sizeOf(cmd)
	op, start := cmd.Name(), time.Now() // a lane may go on using cmd when the caller has left
	c.start = start
	if through, err := t.run(ctx, n, c, kind); !through {
		return t.report(ctx, op, start, err)
	}
	sent := c.sent
	t.release(c)
	return t.result(ctx, start, cmd, kind, sent)
}

// Eval runs a script on key by its digest, or by its text if the server does
// not have it. Otherwise it is Do.
func (t *Transport) Eval(ctx context.Context, s *Script, key string, kind Kind, args ...any) (*redis.Cmd, error) {
	cmd := s.Cmd(ctx, key, args...)
	if err := t.Do(ctx, key, cmd, kind); err != nil {
		var reply redis.Error
		if errors.As(err, &reply) {
			return cmd.Cmd, err
		}
		return redis.NewCmd(ctx), err // a lane may still be using the other
	}
	return cmd.Cmd, nil
}

// Background runs a command whose outcome nobody waits for along with the next
// round trip to key's node. It never blocks: it returns false, and the command
// is dropped, if too many wait already or the node is not known or not well.
func (t *Transport) Background(key string, cmd redis.Cmder) bool {
	if n := t.routes.known(key); n != nil && n.guard.State() == breaker.Closed {
		return n.enqueueBackground(cmd)
	}
	return false
}

// ForEachNode calls f with a client of each primary, several at once. The
// clients are the transport's own: f must not close or keep them. It is not
// bounded by the budget, but by ctx.
func (t *Transport) ForEachNode(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	if err := t.check(ctx); err != nil {
		return err
	}
	switch c := t.client.(type) {
	case *redis.Client:
		return f(ctx, c)
	case *redis.ClusterClient:
		return c.ForEachMaster(ctx, f)
	case *redis.Ring:
		return c.ForEachShard(ctx, f)
	}
	return errors.ErrUnsupported
}

// Follow makes t notice within about so long if Sentinel names another primary.
// It returns a client for connections that are to lead where those of t do, which
// belongs to t, and limit, which says as of when that was known; nil without Sentinel.
func (t *Transport) Follow(within time.Duration) (client redis.UniversalClient, limit func(asOf time.Time) time.Time) {
	if t.follow == nil {
		return t.given, nil
	}
	t.follow.Within(within)
	return t.follow.Client(), t.follow.Limit
}

// State returns the state of the breaker; of several nodes, the worst.
func (t *Transport) State() breaker.State {
	worst := breaker.Closed
	for _, n := range t.routes.all() {
		switch s := n.guard.State(); {
		case s == breaker.Open:
			return s
		case s != breaker.Closed:
			worst = s
		}
	}
	return worst
}

// Rejected returns how many commands an open breaker refused.
func (t *Transport) Rejected() uint64 { return t.rejected.Load() }

// Errors returns how many commands failed for a reason other than their
// caller's context or an open breaker.
func (t *Transport) Errors() uint64 { return t.failed.Load() }

func (t *Transport) check(ctx context.Context) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	if t.isClosed() {
		return cache.ErrClosed
	}
	return nil
}

func (t *Transport) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// spawn runs f on a goroutine that Close waits for, unless closed.
func (t *Transport) spawn(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.started.Go(f)
	return true
}

// Close refuses further calls, lets those that were made come to their end,
// and waits for what the transport started until ctx ends. It is idempotent.
// The client given to New stays open unless CloseClient was set.
func (t *Transport) Close(ctx context.Context) error {
	t.mu.Lock()
	first := !t.closed
	t.closed = true
	t.mu.Unlock()

	nodes := t.routes.all()
	for _, n := range nodes {
		n.close()
	}
	var errs []error
	for _, n := range nodes {
		errs = append(errs, n.wait(ctx))
	}
	errs = append(errs, waitFor(ctx, &t.started))
	if first && t.own {
		errs = append(errs, t.client.Close())
	}
	if t.follow != nil {
		errs = append(errs, t.follow.Close(ctx))
	}
	if first && t.opts.CloseClient {
		errs = append(errs, t.given.Close())
	}
	return errors.Join(errs...)
}

// waitFor waits for wg until ctx ends.
func waitFor(ctx context.Context, wg *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
