package main

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// control is what the pages about the patterns do with an entity of any type.
type control interface {
	status(ctx context.Context) (status, error)
	choose(ctx context.Context, pattern string) error
	compare(ctx context.Context, n int) error
	settle(ctx context.Context, key string, sequence uint64, retry bool) error
}

// controls returns the entities in the order of the page.
func (s *shop) controls() []control { return []control{s.products, s.customers, s.stock, s.views} }

// controlOf returns the entity with this name.
func (s *shop) controlOf(name string) (control, error) {
	switch name {
	case s.products.name:
		return s.products, nil
	case s.customers.name:
		return s.customers, nil
	case s.stock.name:
		return s.stock, nil
	case s.views.name:
		return s.views, nil
	}
	return nil, errInput
}

func (s *shop) statuses(ctx context.Context) (all []status, err error) {
	for _, c := range s.controls() {
		st, err := c.status(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, st)
	}
	return all, nil
}

type operations struct {
	Entities []status
	Queue    status // that which has one
	Delay    int64  // ms
	Refused  int64
	Calls    int64
	Ratio    float64 // of the cache, lists included
	Entries  int64
	Events   []event
	Shared   bool
}

func (s *shop) showOperations(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, "operations.html", func(ctx context.Context) (string, any, error) {
		all, err := s.statuses(ctx)
		if err != nil {
			return "", nil, err
		}
		stats := s.cache.Stats()
		return "Operations", operations{Entities: all, Queue: all[len(all)-1], Delay: s.database.delay.Load() / 1e6,
			Refused: s.database.refused.Load(), Calls: s.database.calls.Load(), Ratio: 100 * stats.HitRatio(),
			Entries: stats.Entries, Events: s.events.list(), Shared: s.shared}, nil
	})
}

func (s *shop) choosePattern(w http.ResponseWriter, r *http.Request) error {
	name, pattern := r.FormValue("entity"), r.FormValue("pattern")
	c, err := s.controlOf(name)
	if err != nil {
		return err
	}
	if err := c.choose(r.Context(), pattern); err != nil {
		return err
	}
	s.events.add("%s: %s", name, pattern)
	return back(w, r, "/operations")
}

// compare reads a few of everything, from the database and by the patterns.
func (s *shop) compare(w http.ResponseWriter, r *http.Request) error {
	for _, c := range s.controls() {
		if err := c.compare(r.Context(), 10); err != nil {
			return err
		}
	}
	s.events.add("read 10 of each, both ways")
	return back(w, r, "/operations")
}

// changeDatabase makes the source fail, or slow.
func (s *shop) changeDatabase(w http.ResponseWriter, r *http.Request) error {
	d := s.database
	switch r.FormValue("do") {
	case "stop":
		d.stopped.Store(true)
		s.events.add("the database was stopped")
	case "start":
		d.stopped.Store(false)
		s.events.add("the database was started")
	case "delay":
		ms, err := number(r.FormValue("delay"))
		if err != nil || ms < 0 || ms > 2000 {
			return errInput
		}
		d.delay.Store(int64(time.Duration(ms) * time.Millisecond))
		s.events.add("the database takes %d ms longer", ms)
	case "refuse":
		id, err := number(r.FormValue("product"))
		if err != nil || id < 0 {
			return errInput
		}
		d.refused.Store(int64(id))
		if id == 0 {
			s.events.add("the database refuses nothing")
		} else {
			s.events.add("the database refuses views of product %d", id)
		}
	default:
		return errInput
	}
	return back(w, r, "/operations")
}

func (s *shop) showLetters(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, "letters.html", func(ctx context.Context) (string, any, error) {
		all, err := s.statuses(ctx)
		var letters []letter
		for _, st := range all {
			letters = append(letters, st.Letters...)
		}
		return "Dead letters", letters, err
	})
}

// settleLetter retries or drops a dead letter.
func (s *shop) settleLetter(w http.ResponseWriter, r *http.Request) error {
	c, err := s.controlOf(r.FormValue("entity"))
	if err != nil {
		return err
	}
	sequence, err := strconv.ParseUint(r.FormValue("sequence"), 10, 64)
	if err != nil {
		return errInput
	}
	do := r.FormValue("do")
	if do != "retry" && do != "drop" {
		return errInput
	}
	if err := c.settle(r.Context(), r.FormValue("key"), sequence, do == "retry"); err != nil {
		return err
	}
	s.events.add("a dead letter of %s: %s", r.FormValue("entity"), do)
	return back(w, r, "/letters")
}
