package herd

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

// order is what a child is told to do: one round.
type order struct {
	Key     string
	Callers int
	Load    time.Duration
	At      time.Time // when the callers begin
}

// outcome is what a child says of its round. Times are those of the machine's
// clock, which all children share.
type outcome struct {
	Loads  int64
	Loaded time.Time // when its last load ended; zero: there was none
	Served time.Time // when its last caller had the value
	Failed int64     // callers that did not get it
}

// Child is one process of a herd: it reads orders from in and writes outcomes to
// out, until in ends.
func Child(addr string, hints bool, in io.Reader, out io.Writer) (err error) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	// A busy machine with thousands of goroutines is no outage.
	c, err := distributed.New(client, &distributed.Options{Budget: 10 * time.Second})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.Background())) }()
	var view *cache.Typed[string]
	if hints {
		view = cache.NewTyped[string](c, nil)
	} else {
		view = cache.NewTyped[string](&deaf{c, c, c, c}, nil)
	}
	orders, outcomes := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := outcomes.Encode(o.run(view)); err != nil {
			return err
		}
	}
}

// deaf is a cache without hints: it has what GetOrCreateExclusive needs of a
// shared cache, and not Waker.
type deaf struct {
	cache.Backend
	cache.Leaser
	cache.Peeker
	cache.Coordinated
}

func (o order) run(view *cache.Typed[string]) outcome {
	var loads, failed, loaded, served atomic.Int64
	latest := func(a *atomic.Int64) {
		now := time.Now().UnixNano()
		for old := a.Load(); old < now && !a.CompareAndSwap(old, now); old = a.Load() {
		}
	}
	create := func(context.Context, *cache.Entry) (string, error) {
		loads.Add(1)
		time.Sleep(o.Load)
		latest(&loaded)
		return "value", nil
	}
	begin := make(chan struct{})
	var callers sync.WaitGroup
	for range o.Callers {
		callers.Go(func() {
			<-begin
			if got, err := view.GetOrCreateExclusive(context.Background(), o.Key, create); got != "value" || err != nil {
				failed.Add(1)
			}
			latest(&served)
		})
	}
	time.Sleep(time.Until(o.At))
	close(begin)
	callers.Wait()
	result := outcome{Loads: loads.Load(), Failed: failed.Load(), Served: time.Unix(0, served.Load())}
	if at := loaded.Load(); at > 0 {
		result.Loaded = time.Unix(0, at)
	}
	return result
}
