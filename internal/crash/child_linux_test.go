package crash_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/sqltest"
	"github.com/larder-go/larder/patterns"
)

// orderEnv holds what a child has to do; a process without it is the parent.
const orderEnv = "LARDER_CRASH_ORDER"

// order is what a child has to do.
type order struct {
	Database sqltest.Database
	Redis    string // address
	Budget   time.Duration
	Subject  string
	Intents  bool
	Down     bool
	ID       int    // of the product to write
	Step     string // of the source to be killed at, if not empty
	KillAt   int    // the step towards Redis to be killed at, from 1; 0: none
}

func TestMain(m *testing.M) {
	logging.Disable() // go-redis's notes of a server that is away
	text := os.Getenv(orderEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	var o order
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = o.run(context.Background())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// steps kills the process at one of its steps. Those of the source have names that
// tell them apart; those towards Redis are counted, since some happen at the same
// time.
type steps struct {
	killAt  string // a step of the source
	countTo int    // a step towards Redis

	mu    sync.Mutex
	phase string
	taken []string // steps of the source
	n     int      // steps towards Redis
}

func (s *steps) source(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = s.phase + ": " + name
	s.taken = append(s.taken, name)
	if name == s.killAt {
		die(name)
	}
}

func (s *steps) redis(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n++; s.n == s.countTo {
		die(s.phase + ": " + name)
	}
}

func (s *steps) begin(phase string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = phase
}

// die prints the step, and kills the process.
func die(step string) {
	fmt.Print(step) // not buffered
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// stepConn makes steps of what is sent to Redis, and of the answers.
type stepConn struct {
	net.Conn
	*steps
}

func (c stepConn) Write(b []byte) (int, error) {
	c.redis("before sending " + command(b))
	n, err := c.Conn.Write(b)
	c.redis("after sending " + command(b))
	return n, err
}

func (c stepConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.redis("after an answer")
	}
	return n, err
}

// command names the first command of a request: EVALSHA with some of the hash.
func command(request []byte) string {
	lines := strings.Split(string(request), "\r\n")
	switch {
	case len(lines) < 5:
		return "something"
	case strings.EqualFold(lines[2], "evalsha"):
		return lines[2] + " " + lines[4][:min(len(lines[4]), 6)]
	}
	return lines[2]
}

// markTTL is how long the marks of the dead stand.
const markTTL = 6 * time.Second

func openCache(addr string, budget time.Duration, s *steps) (cache.Backend, error) {
	client := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true, ContextTimeoutEnabled: true,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			s.redis("before connecting")
			c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return stepConn{c, s}, nil
		},
	})
	return distributed.New(client, &distributed.Options{Budget: budget, CloseClient: true})
}

// repository is what a subject is: with transactions.
type repository interface {
	patterns.Repository[int, product]
	patterns.ManyFinder[int, product]
	patterns.Transactor
}

func entity(in patterns.Intents) patterns.Entity[int, product] {
	return patterns.Entity[int, product]{
		Dependents: func(_ int, v product) []cache.Token { return tokens(v.Category) },
		Intents:    in,
	}
}

func tokens(category string) []cache.Token {
	return []cache.Token{cache.KeyToken("category", category)}
}

// The subjects: what is tested, and what must be caught.
const (
	aside           = "aside"
	through         = "through"
	throughContinue = "through, continue"
	throughRetry    = "through, retry"
	throughFail     = "through or fail"
	naiveAside      = "naive aside"
	naiveThrough    = "naive through"
)

// open returns the repository to be tested.
func open(subject string, c cache.Cache, s *store, in patterns.Intents) (repository, error) {
	opts := &patterns.WriteThroughOptions{Write: cache.WriteOptions{MarkTTL: markTTL}}
	switch subject {
	case aside:
		return patterns.NewCacheAside(c, s, entity(in))
	case naiveAside, naiveThrough:
		reads, err := patterns.NewReadThrough(c, s.Find, entity(nil))
		return &naive{ReadThrough: reads, store: s, cache: c, sets: subject == naiveThrough}, err
	case throughContinue:
		opts.WhenCacheFails = patterns.Continue
	case throughRetry:
		opts.WhenCacheFails, opts.RetryFor = patterns.RetryCache, 50*time.Millisecond
	case throughFail:
		opts.WhenCacheFails = patterns.FailWrite
	}
	return patterns.NewWriteThrough(c, s, entity(in), opts)
}

var errRollBack = errors.New("roll back")

func (o order) run(ctx context.Context) error {
	db, err := sql.Open(o.Database.Driver, o.Database.DSN)
	if err != nil {
		return err
	}
	s := &steps{killAt: o.Step, countTo: o.KillAt}
	c, err := openCache(o.Redis, o.Budget, s)
	if err != nil {
		return err
	}
	source := &store{db, s.source}
	in, err := source.intents(o.Intents)
	if err != nil {
		return err
	}
	r, err := open(o.Subject, c, source, in)
	if err != nil {
		return err
	}
	s.begin("rollback")
	err = r.Transact(ctx, func(ctx context.Context) error {
		if err := r.Save(ctx, o.ID, phantom(o.ID)); err != nil {
			return err
		}
		return errRollBack
	})
	if !errors.Is(err, errRollBack) && o.unexpected(err) {
		return fmt.Errorf("the transaction ended with %w, want a rollback", err)
	}
	s.begin("save")
	if err := r.Save(ctx, o.ID, saved(o.ID)); o.unexpected(err) {
		return fmt.Errorf("save: %w", err)
	}
	s.begin("delete")
	if err := r.Delete(ctx, o.ID); o.unexpected(err) {
		return fmt.Errorf("delete: %w", err)
	}
	fmt.Print(strings.Join(s.taken, "\n"))
	return nil
}

// unexpected reports whether err is wrong: without a cache, writes may say so.
func (o order) unexpected(err error) bool {
	switch {
	case err == nil:
		return false
	case !o.Down:
		return true
	case o.Subject == throughFail:
		return !errors.Is(err, cache.ErrUnavailable)
	}
	return !errors.Is(err, cache.ErrCommittedCacheDegraded)
}

// What product id is in the beginning, what it becomes, and what it never is.
func first(id int) product   { return product{fmt.Sprint("first ", id), fmt.Sprint("a", id)} }
func saved(id int) product   { return product{fmt.Sprint("saved ", id), fmt.Sprint("b", id)} }
func phantom(id int) product { return product{fmt.Sprint("phantom ", id), fmt.Sprint("c", id)} }
