package observe_test

import (
	"context"
	"log"
	"log/slog"
	"os"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/observe"
)

func ExampleNewLog() {
	ctx := context.Background()
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "duration" {
				return slog.Attr{}
			}
			return a
		}}))
	events := observe.NewLog(logger, &observe.LogOptions{Name: "users"})
	c, err := larder.Open("memory://", &larder.Options{Observer: events})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	users := cache.NewTyped[string](c, nil)
	for _, key := range []string{"user:1", "user:2", "user:3"} {
		_, _ = users.GetOrCreateExclusive(ctx, key, func(context.Context, *cache.Entry) (string, error) {
			panic("no database")
		})
	}
	events.Flush(ctx)
	// Output:
	// level=ERROR msg="larder: a load ended" cache=users event=load layer=load error_type=loader_panic
	// level=ERROR msg="larder: a load ended" cache=users event=load layer=load suppressed=2
}
