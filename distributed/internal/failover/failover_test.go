package failover

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/distributed/internal/tracking"
)

// elsewhere is a connection to an address of its own.
type elsewhere struct {
	net.Conn
	addr   string
	closed bool
}

func (c *elsewhere) RemoteAddr() net.Addr { return c }
func (c *elsewhere) Network() string      { return "test" }
func (c *elsewhere) String() string       { return c.addr }
func (c *elsewhere) Close() error         { c.closed = true; return nil }

func (c *elsewhere) Read([]byte) (int, error) {
	if c.closed {
		return 0, net.ErrClosed
	}
	return 0, io.EOF
}

// follows is a follower whose dials a test answers.
type follows struct {
	t *testing.T
	*Follower
	answer func() net.Conn // called in a dial
}

func newFollows(t *testing.T) *follows {
	f := &follows{t: t}
	f.Follower = newFollower(func(context.Context, string, string) (net.Conn, error) {
		if c := f.answer(); c != nil {
			return c, nil
		}
		return nil, errors.New("refused")
	}, time.Hour)
	f.client = redis.NewClient(&redis.Options{})
	t.Cleanup(func() {
		if err := f.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return f
}

// to dials, and is led to addr.
func (f *follows) to(addr string) (*elsewhere, net.Conn) {
	f.t.Helper()
	inner := &elsewhere{addr: addr}
	f.answer = func() net.Conn { return inner }
	conn, err := f.connect(f.t.Context(), "tcp", sentinelAddr)
	if err != nil {
		f.t.Fatal(err)
	}
	return inner, conn
}

func TestFollowerLeavesWhatIsNoLongerNamed(t *testing.T) {
	f := newFollows(t)
	gone, conn := f.to("a")
	if err := conn.Close(); err != nil || len(f.conns) != 0 {
		t.Errorf("after Close: %v, %d connections, want none", err, len(f.conns))
	}
	gone.closed = false
	old, conn := f.to("a")
	other, _ := f.to("a")
	if _, err := conn.Read(nil); err != io.EOF {
		t.Errorf("Read = %v, want what the connection says", err)
	}
	fresh, _ := f.to("b")
	if !old.closed || !other.closed || fresh.closed || gone.closed {
		t.Errorf("closed: %v, %v, %v, %v, want those of a that were open", old.closed, other.closed, fresh.closed, gone.closed)
	}
	if _, err := conn.Read(nil); !errors.Is(err, tracking.ErrTopology) {
		t.Errorf("Read = %v, want ErrTopology", err)
	}
}

// A dial that began before another one has told knows less than that.
func TestFollowerRefusesWhatASlowDialTells(t *testing.T) {
	f := newFollows(t)
	slow := &elsewhere{addr: "a"}
	var fresh *elsewhere
	f.answer = func() net.Conn { // while Sentinel names a
		fresh, _ = f.to("b")
		return slow
	}
	if _, err := f.connect(t.Context(), "tcp", sentinelAddr); !errors.Is(err, tracking.ErrTopology) || !slow.closed || fresh.closed {
		t.Errorf("connect = %v, closed: %v, %v, want it refused and closed", err, slow.closed, fresh.closed)
	}
	same := &elsewhere{addr: "b"}
	f.answer = func() net.Conn {
		_, _ = f.to("b")
		return same
	}
	asOf := f.asOf
	if _, err := f.connect(t.Context(), "tcp", sentinelAddr); err != nil || same.closed {
		t.Errorf("connect = %v, closed %v, want it to stand", err, same.closed)
	}
	if !f.asOf.After(asOf) {
		t.Error("what was told anew does not count")
	}
}

// There is contact only as of when Sentinel was asked last, and had an answer.
func TestFollowerLimitsContact(t *testing.T) {
	f := newFollows(t)
	before := time.Now()
	_, _ = f.to("a")
	told := f.asOf
	if told.Before(before) || told.After(time.Now()) {
		t.Errorf("as of %v, want when it was asked", told)
	}
	f.answer = func() net.Conn { return nil }
	if _, err := f.connect(t.Context(), "tcp", sentinelAddr); err == nil {
		t.Error("connect without an answer succeeds")
	}
	if got := f.Limit(time.Now()); !got.Equal(told) {
		t.Errorf("limit = %v, want %v", got, told)
	}
	if got := f.Limit(before); !got.Equal(before) {
		t.Errorf("limit = %v, want what is known", got)
	}
}

func TestWhoIsFollowed(t *testing.T) {
	plain := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	sentinel := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: []string{"127.0.0.1:1"}})
	closed := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: []string{"127.0.0.1:1"}})
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(plain.Close(), sentinel.Close()) }()
	for name, test := range map[string]struct {
		client redis.UniversalClient
		want   bool
	}{"plain": {plain, false}, "Sentinel": {sentinel, true}, "closed": {closed, false}, "nil": {nil, false}, "typed nil": {(*redis.Client)(nil), false}} {
		f := New(test.client, time.Second)
		if (f != nil) != test.want {
			t.Errorf("%s: followed = %v, want %v", name, f != nil, test.want)
		}
		if f != nil {
			_ = f.Close(t.Context())
		}
	}
}
