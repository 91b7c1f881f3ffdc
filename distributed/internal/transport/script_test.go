package transport

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/internal/redistest"
	"github.com/redis/go-redis/v9"
)

func TestForgottenScriptsRunByText(t *testing.T) {
	srv := redistest.Server(t)
	tr := open(t, srv.Client(), patient)
	ctx := context.Background()
	add := NewScript("return redis.call('incrby', KEYS[1], ARGV[1])")

	cmd, err := tr.Eval(ctx, add, "n", Write, 5)
	if n, _ := cmd.Int(); err != nil || n != 5 {
		t.Fatalf("got %d, %v, want 5", n, err)
	}
	if err := srv.Client().ScriptFlush(ctx).Err(); err != nil {
		t.Fatal(err)
	}

	// In a batch, only the scripts run again, and each exactly once.
	keys, cmds := make([]string, 100), make([]redis.Cmder, 100)
	for i := range cmds {
		keys[i] = strconv.Itoa(i)
		if i%2 == 0 {
			cmds[i] = add.Cmd(ctx, keys[i], 7)
		} else {
			cmds[i] = redis.NewIntCmd(ctx, "incrby", keys[i], 7)
		}
	}
	for i, err := range tr.DoMany(ctx, keys, cmds, Write) {
		if err != nil {
			t.Fatalf("command %d: %v", i, err)
		}
	}
	for i, cmd := range cmds {
		got := int64(0)
		switch c := cmd.(type) {
		case *ScriptCmd:
			got, _ = c.Int64()
		case *redis.IntCmd:
			got = c.Val()
		}
		if got != 7 {
			t.Errorf("command %d: got %d, want 7", i, got)
		}
	}

	// And in round trips that callers share while the server forgets.
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range 50 {
				if i%10 == 0 {
					srv.Client().ScriptFlush(ctx)
				}
				if _, err := tr.Eval(ctx, add, "total", Write, 1); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if v, err := tr.Get(ctx, "total"); err != nil || string(v) != "800" {
		t.Errorf("got %q, %v after 800 additions", v, err)
	}
}

func TestScriptErrorIsItsAnswer(t *testing.T) {
	tr := open(t, redistest.Server(t).Client(), patient)
	ctx := context.Background()
	_, err := tr.Eval(ctx, NewScript("return redis.error_reply('CUSTOM no')"), "k", Write)
	if !redis.HasErrorPrefix(err, "CUSTOM") {
		t.Errorf("got %v, want the script's own error", err)
	}
}

// A caller that leaves says what it left, while a lane puts the text in the place
// of a digest that the server has forgotten. For the race detector.
func TestCallerLeavesAForgottenScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(args []string) string {
			if args[0] == "evalsha" {
				time.Sleep(2 * slowCall)
				return "-NOSCRIPT no\r\n"
			}
			return ":1\r\n"
		}}
		tr := over(t, s, Options{})
		ctx, cancel := context.WithTimeout(context.Background(), 3*slowCall/2)
		defer cancel()
		tr.routes.all()[0].cautious = time.Now().Add(time.Hour) // the call goes to a lane
		if _, err := tr.Eval(ctx, NewScript("return 1"), "k", Read); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
		time.Sleep(slowCall)
		if n := s.count("eval") - s.count("evalsha"); n != 1 {
			t.Errorf("the text was sent %d times, want once", n)
		}
	})
}
