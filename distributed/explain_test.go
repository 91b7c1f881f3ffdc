package distributed_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/envelope"
	"github.com/larder-go/larder/internal/redistest"
)

// why returns the only reason that there is to be.
func why(t *testing.T, s cache.Explainer, key string) cache.Reason {
	t.Helper()
	e, err := s.Explain(t.Context(), key)
	must(t, err)
	if len(e.Reasons) != 1 {
		t.Fatalf("got %v, want one reason", e)
	}
	return e.Reasons[0]
}

func testExplain(t *testing.T, s server) {
	name := s.prefix + "k"
	intact := string(envelope.Append(nil, envelope.Header{Kind: envelope.Value}, envelope.Digest(name), []byte("v")))
	tests := []struct {
		name, raw string
		want      cache.State
	}{
		{"a value", intact, cache.StateValue},
		{"a counter", "42", cache.StateCounter},
		{"foreign data", "forty-two", cache.StateForeign},
		{"a damaged value", intact[:len(intact)-1] + "w", cache.StateUndecodable},
		{"a value cut short", intact[:20], cache.StateUndecodable},
		{"another key's value", string(envelope.Append(nil, envelope.Header{Kind: envelope.Value}, 1, []byte("v"))), cache.StateUndecodable},
	}
	for _, tt := range tests {
		s.raw(t, "k", tt.raw)
		r := why(t, s, "k")
		hasWhy := tt.want == cache.StateForeign || tt.want == cache.StateUndecodable
		if r.State != tt.want || r.Layer != "redis" || r.TTL != cache.NoExpiry || (r.Err != nil) != hasWhy {
			t.Errorf("%s: got %v, want %v without an end", tt.name, r, tt.want)
		}
	}
	must(t, s.client.Del(t.Context(), name).Err())
	must(t, s.client.LPush(t.Context(), name, "element").Err())
	if r := why(t, s, "k"); r.State != cache.StateForeign {
		t.Errorf("a list: got %v, want foreign", r)
	}
	must(t, s.Set(t.Context(), "k", []byte("v"), forever))
	if _, _, err := s.GetAndLock(t.Context(), "k", 20*time.Millisecond, cache.LockOptions{}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); why(t, s, "k").Locked; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a lock that ran out is explained as standing")
		}
	}
	if r := why(t, s, "k"); r.State != cache.StateValue || r.TTL != cache.NoExpiry {
		t.Errorf("after a lock: got %v, want a value without an end", r)
	}
}

func TestExplainTakesOneRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l line
		c := open(t, l.client(t, redistest.Mini(t)), distributed.Options{})
		must(t, c.Set(t.Context(), "k", []byte("v"), forever))
		why(t, c, "k") // which may connect
		before := l.sends.Load()
		why(t, c, "k")
		if n := l.sends.Load() - before; n != 1 {
			t.Errorf("it took %d writes to the connection, want 1", n)
		}
	})
}

func TestExplainOfAServerThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l line
		c := open(t, l.client(t, redistest.Mini(t)), distributed.Options{BreakerFailures: 3, BreakerMinOpen: time.Hour, BreakerMaxOpen: time.Hour})
		wantMiss(t, c, "k")
		l.down.Store(true)
		l.lose.Store(true)
		var states []cache.State
		for range 4 {
			r := why(t, c, "k")
			if !errors.Is(r.Err, cache.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable as its error", r)
			}
			states = append(states, r.State)
		}
		if states[0] != cache.StateUnknown || states[3] != cache.StateBreakerOpen {
			t.Errorf("got %v, want unknown, and then an open breaker", states)
		}
	})
}

func TestExplainAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := onMini(t)
		must(t, c.Close(t.Context()))
		_, err := c.Explain(t.Context(), "k")
		wantErr(t, err, cache.ErrClosed)
	})
}
