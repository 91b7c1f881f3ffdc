package tracking

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// session is one attempt: connections to all primaries, kept until the first of
// them fails.
type session struct {
	// Immutable.
	listener *Listener

	// Confined to run until its conns run.
	conns []*conn

	// Guarded by the listener's turn, and read after all conns have ended.
	contact bool
	asOf    time.Time // of the last Contact
}

// run connects, and hands on what comes until something fails or ctx ends.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() {
		for _, c := range s.conns {
			_ = c.net.Close()
		}
	}()
	if err := s.connect(ctx); err != nil {
		return err
	}
	s.listener.supported.Store(yes)
	// Tracking is on everywhere: what is fetched after this is heard of when it
	// changes.
	if err := s.listener.flushed(); err != nil {
		return err
	}
	var conns sync.WaitGroup
	for i, c := range s.conns {
		c.from, c.of = i, len(s.conns)
		stop := context.AfterFunc(ctx, func() { _ = c.net.Close() })
		defer stop()
		conns.Go(func() { cancel(c.receive(ctx, s)) })
		conns.Go(func() { cancel(c.beat(ctx)) })
	}
	conns.Wait()
	return context.Cause(ctx)
}

// connect makes the connections, within connectTimeout.
func (s *session) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, ErrSilent)
	defer cancel()
	switch client := s.listener.client.(type) {
	case *redis.Client:
		return s.add(ctx, []*redis.Options{client.Options()}, false)
	case *redis.ClusterClient:
		return s.connectCluster(ctx, client)
	}
	return ErrUnsupported
}

// add connects to each of the servers at the same time.
func (s *session) add(ctx context.Context, servers []*redis.Options, cluster bool) error {
	conns := make([]*conn, len(servers))
	errs := make([]error, len(servers))
	var dialling sync.WaitGroup
	for i, o := range servers {
		dialling.Go(func() { conns[i], errs[i] = s.listener.connect(ctx, o, cluster) })
	}
	dialling.Wait()
	for _, c := range conns {
		if c != nil {
			s.conns = append(s.conns, c)
		}
	}
	return errors.Join(errs...)
}

// answered takes note that c has handed on all that its server had processed
// before asOf, and reports Contact if that holds for all servers of a later
// moment now.
func (s *session) answered(c *conn, asOf time.Time) error {
	l := s.listener
	return l.event(func() {
		c.asOf = asOf
		for _, other := range s.conns {
			if other.asOf.Before(asOf) {
				asOf = other.asOf
			}
		}
		if !asOf.After(s.asOf) {
			return
		}
		s.asOf, s.contact = asOf, true
		if l.options.Events.Contact != nil {
			l.options.Events.Contact(asOf)
		}
	})
}

// refused is what a server's error reply makes of a session: some say that
// tracking will not work here, whatever is tried; the others may pass.
func refused(command string, r reply) error {
	code, text, _ := strings.Cut(r.text, " ")
	switch {
	case code == "ERR" && !strings.HasPrefix(text, "max number of clients"), code == "NOPROTO", code == "NOPERM":
		return fmt.Errorf("%w: %s: %.20s", ErrUnsupported, command, code)
	}
	return fmt.Errorf("larder: %s: %.20s", command, code)
}
