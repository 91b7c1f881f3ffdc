package main

import (
	"sync"
	"testing"
)

// Whatever the pattern is, and while it changes, who has written reads what he
// wrote.
func TestSwitchingLosesNothing(t *testing.T) {
	s, _ := serveShop(t, config{})
	ctx := t.Context()
	const rounds = 200
	written := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		defer close(written)
		for n := range rounds {
			if err := s.stock.Save(ctx, 1, Stock{1, n}); err != nil {
				t.Error(err)
			}
			if got, err := s.stock.Find(ctx, 1); err != nil || got.Left != n {
				t.Errorf("stock: got %v, %v; want %d", got, err, n)
			}
			if err := s.views.Save(ctx, 1, Views{1, 1}); err != nil {
				t.Error(err)
			}
			if got, err := s.views.Find(ctx, 1); err != nil || got.Count < n+1 {
				t.Errorf("views: got %v, %v; want %d or more", got, err, n+1)
			}
		}
	})
	for i := 0; ; i++ {
		if err := s.stock.choose(ctx, []string{aside, through, uncached}[i%3]); err != nil {
			t.Fatal(err)
		}
		if err := s.views.choose(ctx, []string{behind, aside}[i%2]); err != nil {
			t.Fatal(err)
		}
		select {
		case <-written:
		default:
			continue
		}
		break
	}
	all.Wait()
	if err := s.views.choose(ctx, aside); err != nil {
		t.Fatal(err)
	}
	if got, err := s.views.source.FindMany(ctx, []int{1}); err != nil || got[1].Count != rounds {
		t.Errorf("the database has %v, %v; want %d views", got, err, rounds)
	}
}

// Who leaves the write-behind with something in the queue would forget it.
func TestTheQueueIsNotLeftBehind(t *testing.T) {
	s, _ := serveShop(t, config{})
	s.database.refused.Store(2)
	if err := s.views.Save(t.Context(), 2, Views{2, 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.views.choose(t.Context(), aside); err != errUnwritten {
		t.Errorf("with a dead letter: got %v, want %v", err, errUnwritten)
	}
	st, err := s.views.status(t.Context())
	if err != nil || len(st.Letters) != 1 || st.Pattern != behind {
		t.Fatalf("got %+v, %v; want one dead letter, and still write-behind", st, err)
	}
	if err := s.views.settle(t.Context(), st.Letters[0].Key, st.Letters[0].Sequence, false); err != nil {
		t.Fatal(err)
	}
	if err := s.views.choose(t.Context(), aside); err != nil {
		t.Error(err)
	}
	if err := s.views.choose(t.Context(), through); err == nil {
		t.Error("increments were written through, which would cache them as totals")
	}
}
