package memory_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/larder-go/larder/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// open returns a cache that is closed when the test ends.
func open(t testing.TB, opts *memory.Options) *memory.Cache {
	t.Helper()
	c, err := memory.New(opts)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}
