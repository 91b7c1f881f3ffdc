package main

import (
	"context"
	"log"
	"testing"
)

// The database refuses the smaller token only: the same one may write again.
func TestWriteStockComparesTokens(t *testing.T) {
	ctx := t.Context()
	db, err := openDatabase(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, tc := range []struct {
		left  int
		fence uint64
		want  error
	}{
		{90, 5, nil}, {80, 5, nil}, {70, 4, errFenced}, {60, 6, nil}, {50, 5, errFenced}, {40, 1<<63 - 1, nil},
	} {
		if err := writeStock(ctx, db, "radio", tc.left, tc.fence); err != tc.want {
			t.Errorf("token %d: got %v, want %v", tc.fence, err, tc.want)
		}
		left, err := readStock(ctx, db, "radio")
		if err != nil || (left == tc.left) != (tc.want == nil) {
			t.Errorf("token %d: %d left, %v", tc.fence, left, err)
		}
	}
}

func Example() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// second worker: 70 left <nil>
	// first worker: refused: somebody has written under a later lock
	// in the database: 70 <nil>
	// in the cache: 70 <nil>
}
