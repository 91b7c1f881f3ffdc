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
	"github.com/larder-go/larder/internal/breaker"
	"github.com/redis/go-redis/v9"
)

// DefaultBudget is the Budget of zero Options.
const DefaultBudget = 100 * time.Millisecond

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
	// Budget bounds each call, together with its context. Zero means 100 ms.
	Budget time.Duration

	// Breaker tunes the breaker in front of each node.
	Breaker breaker.Options

	// OnBreaker, unless nil, hears of each change of a node's breaker. It must
	// not block.
	OnBreaker func(state breaker.State)

	// OnError, unless nil, hears of each call that failed for a reason other
	// than its own context, with the command's name and how long it took. It
	// must not block.
	OnError func(op string, d time.Duration, err error)

	// CloseClient makes Close close the client given to New, too.
	CloseClient bool
}

// Transport is safe for concurrent use.
//
// An error of a call is one of these, to be told apart by errors.Is:
//   - redis.Nil or another redis.Error: the server's answer to this command;
//   - the context's own error;
//   - cache.ErrUnavailable: not done, or a Read without an answer;
//   - cache.ErrOutcomeUnknown: a Write that was or may have been sent;
//   - cache.ErrClosed: after Close.
//
// After an error that is no redis.Error a command may still be in use: do not
// look at it, and do not use its arguments' memory again.
type Transport struct {
	client redis.UniversalClient // own, or the caller's if its type is unknown
	own    bool
	given  redis.UniversalClient
	opts   Options
	guard  *breaker.Breaker

	rejected, errors atomic.Uint64

	mu     sync.RWMutex
	closed bool
	calls  sync.WaitGroup
}

// New returns a transport over client, which it neither changes nor, without
// CloseClient, closes. It does not dial. A client that is nil or closed is
// cache.ErrInvalidConfig.
func New(client redis.UniversalClient, opts Options) (*Transport, error) {
	own, isOwn, err := ownClient(client)
	if err != nil {
		return nil, err
	}
	if opts.Budget <= 0 {
		opts.Budget = DefaultBudget
	}
	t := &Transport{client: own, own: isOwn, given: client, opts: opts}
	t.guard = breaker.New(opts.Breaker, t.probe, opts.OnBreaker)
	return t, nil
}

func (t *Transport) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.opts.Budget)
	defer cancel()
	return t.client.Ping(ctx).Err()
}

// Get returns the value under key, or redis.Nil for a miss. The slice belongs
// to the caller. A Redis error (WRONGTYPE) is of this key alone.
func (t *Transport) Get(ctx context.Context, key string) ([]byte, error) {
	cmd := redis.NewStringCmd(ctx, "get", key)
	if err := t.Do(ctx, key, cmd, Read); err != nil {
		return nil, err
	}
	return cmd.Bytes()
}

// Do runs a command on the node of key, its only key. The result is in cmd if
// the error is nil or a redis.Error.
func (t *Transport) Do(ctx context.Context, key string, cmd redis.Cmder, kind Kind) error {
	return t.DoMany(ctx, []string{key}, []redis.Cmder{cmd}, kind)[0]
}

// DoMany runs many commands of one key each, in one round trip per node, and
// returns an error per command as Do does. There is no atomicity across them.
func (t *Transport) DoMany(ctx context.Context, keys []string, cmds []redis.Cmder, kind Kind) []error {
	errs := make([]error, len(cmds))
	if len(cmds) == 0 {
		return errs
	}
	if err := t.begin(ctx); err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	defer t.calls.Done()
	mark, ok := t.guard.Allow()
	if !ok {
		t.rejected.Add(uint64(len(cmds)))
		for i := range errs {
			errs[i] = unavailable(breaker.ErrOpen)
		}
		return errs
	}
	bounded, cancel := context.WithTimeout(ctx, t.opts.Budget)
	defer cancel()
	start := time.Now()
	t.send(bounded, cmds)
	var again []redis.Cmder
	for _, cmd := range cmds {
		if isForgotten(cmd) {
			again = append(again, cmd)
		}
	}
	t.send(bounded, again)
	for i, cmd := range cmds {
		errs[i] = t.settle(ctx, cmd, kind, mark, time.Since(start))
	}
	return errs
}

func (t *Transport) send(ctx context.Context, cmds []redis.Cmder) {
	switch len(cmds) {
	case 0:
	case 1:
		_ = t.client.Process(ctx, cmds[0])
	default:
		_, _ = t.client.Pipelined(ctx, func(p redis.Pipeliner) error { return p.BatchProcess(ctx, cmds...) })
	}
}

// settle counts a command's outcome and returns it as the caller shall see it.
func (t *Transport) settle(ctx context.Context, cmd redis.Cmder, kind Kind, mark uint64, d time.Duration) error {
	err := cmd.Err()
	switch fault := faultOf(err); {
	case fault == none:
		t.guard.Succeed()
		return err
	case fault != refused && ctx.Err() != nil:
		return contextError(ctx, kind, fault, err)
	case fault == timedOut:
		t.guard.TimedOut(mark)
	case fault == refused:
		t.guard.Succeed()
	default:
		t.guard.Fail()
	}
	t.errors.Add(1)
	err = failure(kind, faultOf(err), err)
	if t.opts.OnError != nil {
		t.opts.OnError(cmd.Name(), d, err)
	}
	return err
}

// Eval runs a script on key by its digest, or by its text if the server does
// not have it. Otherwise it is Do.
func (t *Transport) Eval(ctx context.Context, s *Script, key string, kind Kind, args ...any) (*redis.Cmd, error) {
	cmd := s.Cmd(ctx, key, args...)
	err := t.Do(ctx, key, cmd, kind)
	return cmd.Cmd, err
}

// Background runs a command whose outcome nobody waits for, if there is room;
// otherwise it returns false and drops it.
func (t *Transport) Background(key string, cmd redis.Cmder) bool {
	if t.begin(context.Background()) != nil {
		return false
	}
	go func() {
		defer t.calls.Done()
		_ = t.Do(context.Background(), key, cmd, Write)
	}()
	return true
}

// ForEachNode calls f with a client of each primary, several at once. The
// clients are the transport's own: f must not close or keep them.
func (t *Transport) ForEachNode(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	if err := t.begin(ctx); err != nil {
		return err
	}
	defer t.calls.Done()
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

// State returns the state of the breaker; of several nodes, the worst.
func (t *Transport) State() breaker.State { return t.guard.State() }

// Rejected returns how many commands an open breaker refused.
func (t *Transport) Rejected() uint64 { return t.rejected.Load() }

// Errors returns how many commands failed for a reason other than their
// caller's context or an open breaker.
func (t *Transport) Errors() uint64 { return t.errors.Load() }

func (t *Transport) begin(ctx context.Context) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return cache.ErrClosed
	}
	t.calls.Add(1)
	return nil
}

// Close ends the transport and waits for what it started until ctx ends. It is
// idempotent.
func (t *Transport) Close(ctx context.Context) error {
	t.mu.Lock()
	first := !t.closed
	t.closed = true
	t.mu.Unlock()
	done := make(chan struct{})
	go func() {
		t.calls.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	err := t.guard.Close(ctx)
	if !first {
		return err
	}
	if t.own {
		err = errors.Join(err, t.client.Close())
	}
	if t.opts.CloseClient {
		err = errors.Join(err, t.given.Close())
	}
	return err
}
