package racematrix

import (
	"context"
	"errors"
)

func invalidateDuringLoad() Race {
	return Race{
		ID: "1", Title: "The source is written and the key invalidated while an old load runs",
		Why: "who writes and then invalidates expects that nobody who asks afterwards sees what was there before",
		Parts: []Part{
			{"1a", "invalidated during a load: a read during that load"},
			{"1b", "invalidated during a load: a read after that load"},
		},
		Play: func(ctx context.Context, s *Setting) ([]Cell, error) {
			read, err := overlap(ctx, s, 1, true)
			if err != nil {
				return nil, err
			}
			unread, err := overlap(ctx, s, 1, false)
			return []Cell{read.cell(read.during[0], stale), unread.cell(unread.after[0], storedStale)}, err
		},
	}
}

func abaOfLoads() Race {
	return Race{
		ID: "6", Title: "Load A begins, the key is invalidated, load B begins and ends, load A ends",
		Why:   "the last load to end is not the last that read the source",
		Parts: []Part{{"6", "old load ends after a newer one: a read after both"}},
		Play: func(ctx context.Context, s *Setting) ([]Cell, error) {
			o, err := overlap(ctx, s, 1, true)
			return []Cell{o.cell(o.after[0], storedStale)}, err
		},
	}
}

func invalidateFromElsewhere() Race {
	return Race{
		ID: "9", Title: "Process A loads, process B writes the source and invalidates the key, A's load ends",
		Why:        "an invalidation by one process has to hold for all that share the Redis",
		NeedsRedis: true,
		Parts: []Part{
			{"9a", "invalidated by B while A loads: a read in A during the load"},
			{"9b", "invalidated by B while A loads: a read in B during the load"},
			{"9c", "invalidated by B while A loads: a read in A after the load"},
			{"9d", "invalidated by B while A loads: a read in B after the load"},
			{"9e", "invalidated by B while A loads: a read in C, which starts then"},
		},
		Play: func(ctx context.Context, s *Setting) ([]Cell, error) {
			o, err := overlap(ctx, s, 2, true)
			return []Cell{
				o.cell(o.during[0], stale), o.cell(o.during[1], stale),
				o.cell(o.after[0], storedStale), o.cell(o.after[1], storedStale), o.cell(o.newcomer, storedStale),
			}, err
		},
	}
}

// overlapped is what reads brought, by process, that began after an
// invalidation which overlaps an old load.
type overlapped struct {
	waited        bool // the invalidation itself returned only after the old load
	during, after [2]answer
	newcomer      answer // by a process that starts in the end
}

func (o *overlapped) cell(got answer, as string) Cell {
	c := staleness(got, as)
	if o.waited {
		c.Note = "the invalidation does not return before the old load does"
	}
	return c
}

// overlap begins a load in the first of some processes and, while it lingers,
// writes the source and invalidates the key in the last of them. Then each
// process reads if read is set; the old load ends; and each reads again.
func overlap(ctx context.Context, s *Setting, processes int, read bool) (o overlapped, err error) {
	source := newChanging()
	defer source.gate.open()
	caches, err := openTexts(s, processes, source.load)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, closeAll(caches)) }()
	key := newKey()
	first := call(ctx, caches[0], key)
	if err := begun(source.read); err != nil {
		return o, err
	}
	source.written.Store(true)
	if o.waited, err = invalidate(ctx, caches[processes-1], key, source.gate); err != nil {
		return o, err
	}
	var during []func() answer
	if read {
		during = reads(ctx, caches, key)
	}
	source.gate.open()
	if answered(first).hung {
		return o, errHangs
	}
	for i, rest := range during {
		o.during[i] = rest()
	}
	for i, rest := range reads(ctx, caches, key) {
		o.after[i] = rest()
	}
	last, err := openTexts(s, 1, source.load)
	if err != nil {
		return o, err
	}
	caches = append(caches, last...)
	o.newcomer = answered(call(ctx, last[0], key))
	return o, nil
}

// reads begins a read in each cache and gives each of them a head start. What
// it returns waits for the rest.
func reads(ctx context.Context, caches []*Cache[string], key string) (rest []func() answer) {
	for _, c := range caches {
		got := call(ctx, c, key)
		if a, ok := within(got, headStart); ok {
			rest = append(rest, func() answer { return a })
		} else { // it may wait for the old load
			rest = append(rest, func() answer { return answered(got) })
		}
	}
	return rest
}

// invalidate removes key. If the removal waits for the old load it lets that
// end, and says so.
func invalidate(ctx context.Context, c *Cache[string], key string, old *gate) (waited bool, err error) {
	removed := make(chan error, 1)
	go func() { removed <- c.Remove(ctx, key) }()
	if err, ok := within(removed, headStart); ok {
		return false, err
	}
	old.open()
	err, ok := within(removed, patience)
	if !ok {
		err = errHangs
	}
	return true, err
}

func openTexts(s *Setting, n int, source Source[string]) (caches []*Cache[string], err error) {
	for range n {
		c, err := s.Contender.Texts(s.Addr(), source)
		if err != nil {
			return nil, errors.Join(err, closeAll(caches))
		}
		caches = append(caches, c)
	}
	return caches, nil
}

func closeAll(caches []*Cache[string]) (err error) {
	for _, c := range caches {
		err = errors.Join(err, c.Close())
	}
	return err
}
