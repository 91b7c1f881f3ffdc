package tracking

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// script is a server in a bubble that answers as long as it likes.
type script struct {
	mu      sync.Mutex
	dials   int
	mute    bool          // takes everything and answers nothing
	delay   time.Duration // before each answer to a heartbeat
	refuse  error         // of a dial
	waiting sync.WaitGroup
}

// dial is for redis.Options.
func (s *script) dial(context.Context, string, string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials++
	if s.refuse != nil {
		return nil, s.refuse
	}
	ours, theirs := net.Pipe()
	s.waiting.Go(func() { s.serve(ours) })
	return theirs, nil
}

func (s *script) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// serve answers the handshake, which comes in one piece, and then heartbeats.
func (s *script) serve(c net.Conn) {
	defer c.Close()
	answers := make(chan string, 16) // as a socket's buffer
	defer close(answers)
	s.waiting.Go(func() {
		for a := range answers {
			_, _ = c.Write([]byte(a))
		}
	})
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		answer := map[string]string{
			"HELLO": "%1\r\n+role\r\n+master\r\n", "TRACKING": "+OK\r\n", "PING": "+PONG\r\n",
		}[strings.TrimSpace(line)]
		s.mu.Lock()
		mute, delay := s.mute, s.delay
		s.mu.Unlock()
		if answer == "" || mute {
			continue
		}
		time.Sleep(delay) // in the bubble's time
		answers <- answer
	}
}

// dialledBy returns a client for use in a bubble, which resolves no names.
func dialledBy(dial func(context.Context, string, string) (net.Conn, error)) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: "10.0.0.1:1", Dialer: dial, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// start returns a Listener to s within a bubble.
func (s *script) start(t *testing.T, o Options) *recorder {
	client := dialledBy(s.dial)
	l, r := listen(t, client, o)
	t.Cleanup(func() {
		shut(t, l)
		_ = client.Close()
		s.waiting.Wait()
	})
	return r
}

func TestHeartbeatsKeepTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		r := s.start(t, Options{Interval: 100 * time.Millisecond})
		synctest.Wait()
		start := time.Now() // two heartbeats were sent at once
		for i := range 10 {
			asOf := start.Add(time.Duration(max(i-1, 0)) * 100 * time.Millisecond)
			if got := locked(r, &r.asOf); !got.Equal(asOf) {
				t.Errorf("after %d intervals: as of %v, want %v", i, got.Sub(start), asOf.Sub(start))
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
	})
}

func TestSilenceIsNoticedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		r := s.start(t, Options{Interval: 100 * time.Millisecond})
		time.Sleep(time.Second)
		synctest.Wait()
		s.set(func() { s.mute = true })
		silent := time.Now()
		asOf := locked(r, &r.asOf)
		r.mark()
		time.Sleep(300*time.Millisecond - 1) // one until the next heartbeat, two for its answer
		synctest.Wait()
		if order := locked(r, &r.order); len(order) != 0 {
			t.Errorf("too soon: %v", order)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if err := locked(r, &r.err); !errors.Is(err, ErrSilent) {
			t.Errorf("after %v: got %v, want ErrSilent", time.Since(silent), err)
		}
		if got := locked(r, &r.asOf); !got.Equal(asOf) {
			t.Errorf("contact without an answer: %v later", got.Sub(asOf))
		}
		time.Sleep(10 * time.Second)
		s.set(func() { s.mute = false })
		time.Sleep(connectTimeout + lastPause)
		synctest.Wait()
		if got := locked(r, &r.asOf); !got.After(silent.Add(10 * time.Second)) {
			t.Errorf("no contact %v after the silence", connectTimeout+lastPause)
		}
	})
}

func TestSlowAnswersAreContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		r := s.start(t, Options{Interval: 100 * time.Millisecond})
		synctest.Wait()
		s.set(func() { s.delay = 199 * time.Millisecond })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if age := time.Since(locked(r, &r.asOf)); age > 600*time.Millisecond {
			t.Errorf("as of %v ago, want at most 3 answers", age)
		}
		if n := locked(r, &r.flushes); n != 1 {
			t.Errorf("flushes: got %d, want 1", n)
		}
	})
}

func TestPausesBetweenTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{refuse: errors.New("refused")}
		r := s.start(t, Options{})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		var dials int
		s.set(func() { dials = s.dials })
		if dials < 20 || dials > 50 {
			t.Errorf("tries in 10 s: got %d, want 20 to 50", dials)
		}
		s.set(func() { s.refuse = nil })
		time.Sleep(lastPause)
		synctest.Wait()
		if locked(r, &r.contacts) == 0 {
			t.Errorf("no contact %v after the server came back", lastPause)
		}
	})
}

// A dialler that heeds no context is left behind, and Close waits for it.
func TestADialThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		client := dialledBy(func(context.Context, string, string) (net.Conn, error) {
			<-let
			return nil, errors.New("too late")
		})
		defer client.Close()
		l, r := listen(t, client, Options{})
		time.Sleep(connectTimeout)
		synctest.Wait()
		if err := locked(r, &r.err); !errors.Is(err, ErrSilent) {
			t.Errorf("got %v, want ErrSilent", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close while a dial hangs: got %v, want DeadlineExceeded", err)
		}
		close(let)
		shut(t, l)
	})
}
