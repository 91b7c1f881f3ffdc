package patterns_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue"
)

// warehouse is the repository that a service already has. It counts its writes.
type warehouse struct {
	mu     sync.Mutex
	stock  map[string]int
	writes int
}

func (w *warehouse) Find(_ context.Context, id string) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, ok := w.stock[id]
	if !ok {
		return 0, cache.ErrNotFound
	}
	return n, nil
}

func (w *warehouse) Save(_ context.Context, id string, n int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n < 0 {
		return fmt.Errorf("%w: stock below zero", patterns.ErrPermanent)
	}
	w.stock[id] = n
	w.writes++
	return nil
}

func (w *warehouse) Delete(_ context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.stock, id)
	w.writes++
	return nil
}

// Many updates become few writes of the source; readers see each at once.
func ExampleWriteBehind() {
	ctx := context.Background()
	store, err := memory.New(nil)
	if err != nil {
		panic(err)
	}
	q, err := queue.NewMemory(nil) // or a durable one, as package outbox has
	if err != nil {
		panic(err)
	}
	source := &warehouse{stock: map[string]int{}}
	stock, err := patterns.NewWriteBehind(ctx, store, source, q, patterns.Entity[string, int]{},
		&patterns.WriteBehindOptions[string, int]{Interval: time.Minute})
	if err != nil {
		panic(err)
	}
	for n := range 1000 {
		if err := stock.Save(ctx, "apples", n); err != nil {
			panic(err)
		}
	}
	n, err := stock.Find(ctx, "apples")
	fmt.Println("reads", n, err)

	err = errors.Join(stock.Close(ctx), store.Close(ctx)) // writes what is queued
	fmt.Println("the source has", source.stock["apples"], err)
	fmt.Println("after few writes:", source.writes < 20)
	// Output:
	// reads 999 <nil>
	// the source has 999 <nil>
	// after few writes: true
}

// What the source refuses is set aside, and readers see what the source has.
func ExampleWriteBehind_DeadLetters() {
	ctx := context.Background()
	q, err := queue.NewMemory(nil)
	if err != nil {
		panic(err)
	}
	source := &warehouse{stock: map[string]int{"apples": 3}}
	stock, err := patterns.NewWriteBehind(ctx, nil, source, q, patterns.Entity[string, int]{}, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(stock.Save(ctx, "apples", -1), stock.Flush(ctx))

	letters, err := stock.DeadLetters(ctx, "", 10)
	if err != nil {
		panic(err)
	}
	for _, l := range letters {
		fmt.Println(l.ID, l.Value, l.Attempts, l.Reason)
		fmt.Println(stock.DropDeadLetter(ctx, l.Key, l.Sequence))
	}
	n, err := stock.Find(ctx, "apples")
	fmt.Println(n, err, stock.Close(ctx))
	// Output:
	// <nil> <nil>
	// apples -1 1 larder: permanent failure of the source: stock below zero
	// <nil>
	// 3 <nil> <nil>
}
