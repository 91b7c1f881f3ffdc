// Package inspect shows a running cache on a page of its own: hit ratios and
// latencies over time, what is held, the keys that take the most room, regions
// with a button that expires them, breakers, and whatever a service adds in
// panels.
//
// An [Inspector] is an http.Handler to be mounted under a path that ends in a
// slash, as package net/http/pprof is, and a cache.Observer to be given to the
// caches it shows:
//
//	inspector, err := inspect.New(&inspect.Options{Authorize: isOperator})
//	products, err := memory.New(&memory.Options{Observer: inspector.ObserverOf("products")})
//	err = inspector.Add(inspect.Source{Name: "products", Cache: products})
//	mux.Handle("/debug/larder/", inspector)
//
// It is off by default: without Options.Authorize it refuses every request and
// watches nothing. It shows this process only, keeps what it saw in a bounded
// memory, and forgets it at the end of the process; it is no replacement for
// metrics.
//
// # Safety
//
// Nothing changes by GET. A POST that a browser sends for a page of another
// origin is refused (http.CrossOriginProtection), whatever Authorize says. The
// page loads nothing from elsewhere and forbids itself to by its
// Content-Security-Policy; it works without its script, which only refreshes it.
// Keys are shown as hashes unless Options.ShowKeys; values never.
package inspect

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
)

// Options of New. The zero Options refuse every request.
type Options struct {
	// Authorize decides who may look, and by POST, who may act: it can tell by
	// the request's Method. It is called once per request, from many goroutines.
	// One that goes by the caller's address alone must also check the request's
	// Host, or a page elsewhere can reach it through a name of its own. nil refuses
	// everything, and then nothing is sampled.
	Authorize func(*http.Request) bool

	// Title stands above the page, as in "shop, production". Empty: none.
	Title string

	// Interval is the time between two samples: 100 ms or more, 0 means 10 s.
	// Samples is how many are kept: 2 to 1440, 0 means 360, which is an hour.
	// The memory for them is about 160 bytes per sample and cache.
	Interval time.Duration
	Samples  int

	// ShowKeys shows keys as they are, and lets who is authorized explain and
	// remove a key. Otherwise a key is shown as a hash, which is the same as long
	// as the process lives, and has nothing to do with that of another process.
	ShowKeys bool

	// TopKeys is how many keys the lists of the largest and the most read ones
	// have: 0 means 10, at most 1000. Making them visits every entry of a cache
	// that is a Ranker, for at most a second, and at most once per Interval, when
	// the page is looked at.
	TopKeys int
}

// The options' defaults and limits.
const (
	DefaultInterval = 10 * time.Second
	DefaultSamples  = 360
	DefaultTopKeys  = 10

	minInterval = 100 * time.Millisecond
	maxSamples  = 1440
	maxTopKeys  = 1000
)

// Inspector shows caches. Make one with New and end it with Close. It is safe
// for concurrent use.
type Inspector struct {
	opts    Options // with defaults
	origin  *http.CrossOriginProtection
	secret  [32]byte // of the hashes of keys
	started time.Time

	closed    atomic.Bool
	cancel    context.CancelFunc
	sampling  chan struct{} // closed when the sampler has ended
	durations durations
	breakers  breakers

	mu      sync.Mutex
	sources []*source // grows only: a sample's numbers are in this order
	panels  []Panel
	samples ring
	acts    []act // the latest last
}

// New returns an inspector of no cache: see Add. It starts one goroutine, which
// Close ends, unless Authorize is nil. The error names every option that was
// refused, each as a *cache.OptionError that wraps cache.ErrInvalidConfig. nil
// opts are the zero Options.
func New(opts *Options) (*Inspector, error) {
	i := &Inspector{
		origin:   http.NewCrossOriginProtection(),
		started:  time.Now(),
		sampling: make(chan struct{}),
	}
	if opts != nil {
		i.opts = *opts
	}
	if err := i.opts.complete(); err != nil {
		return nil, err
	}
	rand.Read(i.secret[:]) // never fails, by its documentation
	i.samples.frames = make([]frame, 0, i.opts.Samples)
	ctx, cancel := context.WithCancel(context.Background())
	i.cancel = cancel
	if i.opts.Authorize == nil {
		close(i.sampling)
		return i, nil
	}
	go i.run(ctx)
	return i, nil
}

// complete fills in defaults and checks.
func (o *Options) complete() error {
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Samples == 0 {
		o.Samples = DefaultSamples
	}
	if o.TopKeys == 0 {
		o.TopKeys = DefaultTopKeys
	}
	var errs []error
	refuse := func(bad bool, option string, value any, reason string) {
		if bad {
			errs = append(errs, &cache.OptionError{Option: "inspect.Options." + option, Value: value, Reason: reason, Err: cache.ErrInvalidConfig})
		}
	}
	refuse(o.Interval < minInterval, "Interval", o.Interval, "must be 100ms or more")
	refuse(o.Samples < 2 || o.Samples > maxSamples, "Samples", o.Samples, "must be from 2 to 1440")
	refuse(o.TopKeys < 0 || o.TopKeys > maxTopKeys, "TopKeys", o.TopKeys, "must be from 0 to 1000")
	return errors.Join(errs...)
}

// Close ends sampling and waits for it until ctx ends. It is idempotent;
// afterwards every authorized request is answered with 503 and Add returns
// cache.ErrClosed. The caches that were added stay open.
func (i *Inspector) Close(ctx context.Context) error {
	if ctx == nil {
		return cache.ErrNilContext
	}
	i.closed.Store(true)
	i.cancel()
	select {
	case <-i.sampling:
		return nil
	default:
	}
	select {
	case <-i.sampling:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
