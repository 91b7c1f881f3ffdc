package transport

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/redis/go-redis/v9"
)

func TestEachMethodAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := redistest.Mini(t)
		tr, err := New(redistest.MiniClient(t, m), Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		if _, err := tr.Get(ctx, "k"); !errors.Is(err, redis.Nil) {
			t.Errorf("got %v, want redis.Nil", err)
		}
		if err := tr.Do(ctx, "k", redis.NewStatusCmd(ctx, "set", "k", "v"), Write); err != nil {
			t.Error(err)
		}
		if v, err := tr.Get(ctx, "k"); err != nil || string(v) != "v" {
			t.Errorf("got %q, %v", v, err)
		}
		s := NewScript("return redis.call('get', KEYS[1])")
		cmd, err := tr.Eval(ctx, s, "k", Read)
		if v, _ := cmd.Text(); err != nil || v != "v" {
			t.Errorf("got %q, %v", v, err)
		}
		if err := tr.Close(ctx); err != nil {
			t.Error(err)
		}
		if _, err := tr.Get(ctx, "k"); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}
