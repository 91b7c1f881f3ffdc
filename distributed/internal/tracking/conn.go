package tracking

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/auth"
)

// conn is a connection to one primary, with tracking on. One goroutine receives
// and one sends heartbeats.
type conn struct {
	// Immutable.
	listener *Listener
	net      net.Conn
	mode     string // what the server says it is: standalone, cluster...
	id       string // of the node, if it is one of a cluster
	question []byte // the heartbeat's command
	check    func(reply) error

	// Confined to receive; before, to who connects.
	in       *reader
	from, of int // its place among the session's connections; 0 of 0: not yet known

	// sent has the moment of the heartbeat that is not answered yet, answers a
	// token for each answer. Both have room for one.
	sent    chan time.Time
	answers chan struct{}

	// Guarded by the listener's turn.
	asOf time.Time
}

// connect dials one server and switches tracking on, in one round trip.
func (l *Listener) connect(ctx context.Context, o *redis.Options, cluster bool) (*conn, error) {
	user, password, err := credentials(ctx, o)
	if err != nil {
		return nil, err
	}
	nc, err := l.dial(ctx, o)
	if err != nil {
		return nil, err
	}
	c := &conn{
		listener: l, net: nc, in: newReader(nc),
		question: appendCommand(nil, "HELLO"), check: isPrimary,
		sent: make(chan time.Time, 1), answers: make(chan struct{}, 1),
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	if err = c.handshake(user, password); err == nil && cluster {
		err = c.joinCluster()
	}
	if err != nil {
		_ = nc.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return c, nil
}

// dial dials as the client does. Over TLS go-redis's dialler heeds no context, so
// it is left behind when ctx ends.
func (l *Listener) dial(ctx context.Context, o *redis.Options) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	dialled := make(chan result)
	l.running.Go(func() {
		c, err := o.Dialer(ctx, o.Network, o.Addr)
		select {
		case dialled <- result{c, err}:
		case <-ctx.Done():
			if err == nil {
				_ = c.Close()
			}
		}
	})
	select {
	case r := <-dialled:
		return r.conn, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// credentials returns what the client would log in with now.
func credentials(ctx context.Context, o *redis.Options) (user, password string, err error) {
	switch {
	case o.StreamingCredentialsProvider != nil:
		c, stop, err := o.StreamingCredentialsProvider.Subscribe(deaf{})
		if err != nil {
			return "", "", err
		}
		_ = stop() // nothing was asked of it
		user, password = c.BasicAuth()
		return user, password, nil
	case o.CredentialsProviderContext != nil:
		return o.CredentialsProviderContext(ctx)
	case o.CredentialsProvider != nil:
		user, password = o.CredentialsProvider()
		return user, password, nil
	}
	return o.Username, o.Password, nil
}

// deaf does not want to know of other credentials: a server that no longer takes
// the old ones ends the connection, and the next one asks again.
type deaf struct{}

func (deaf) OnNext(auth.Credentials) {}
func (deaf) OnError(error)           {}

func (c *conn) handshake(user, password string) error {
	hello := []string{"HELLO", "3"}
	if password != "" {
		if user == "" {
			user = "default"
		}
		hello = append(hello, "AUTH", user, password)
	}
	track := []string{"CLIENT", "TRACKING", "ON", "BCAST"}
	if c.listener.options.Prefix != "" {
		track = append(track, "PREFIX", c.listener.options.Prefix)
	}
	b := appendCommand(nil, append(hello, "SETNAME", "larder-near")...)
	b = appendCommand(b, track...)
	b = appendCommand(b, append([]string{"SUBSCRIBE"}, c.listener.options.Channels...)...)
	b = appendCommand(b, "PING")
	if _, err := c.net.Write(b); err != nil {
		return err
	}
	r, err := c.in.reply(c)
	if err != nil {
		return err
	}
	if r.kind == '-' {
		return refused("HELLO", r)
	}
	if err := isPrimary(r); err != nil {
		return err
	}
	mode, _ := r.field("mode")
	c.mode = mode.text
	if r, err = c.in.reply(c); err != nil {
		return err
	}
	if r.kind == '-' {
		return refused("CLIENT TRACKING", r)
	}
	// A subscription is confirmed by a push. Without the right to it the output
	// buffer is not bounded, and there are no messages; tracking works.
	if r, err = c.in.reply(c); err == nil && r.kind == '-' {
		r, err = c.in.reply(c)
	}
	if err == nil && r.text != "PONG" {
		err = errProtocol
	}
	return err
}

// isPrimary looks at the answer to HELLO.
func isPrimary(r reply) error {
	if r.kind == '-' {
		return refused("HELLO", r)
	}
	if r.kind != '%' {
		return errProtocol
	}
	if role, ok := r.field("role"); ok && role.text != "master" {
		return fmt.Errorf("%w: this is a %.10s", ErrTopology, role.text)
	}
	return nil
}

// ask is a round trip before the conn runs.
func (c *conn) ask(args ...string) (reply, error) {
	if _, err := c.net.Write(appendCommand(nil, args...)); err != nil {
		return reply{}, err
	}
	r, err := c.in.reply(c)
	if err == nil && r.kind == '-' {
		err = refused(args[0]+" "+args[1], r)
	}
	return r, err
}

// receive hands on what comes.
//
// When an answer comes, everything is known that the server had processed before
// the heartbeat before it was sent. Not before this one: Redis sends the changes
// of one turn of its event loop at its end, so an answer may be ahead of changes
// of its own turn, but not of an earlier one - and the heartbeat was sent after
// the answer to the one before it.
func (c *conn) receive(ctx context.Context, s *session) error {
	var before time.Time // when the heartbeat before was sent
	for {
		r, err := c.in.reply(c)
		if err != nil {
			return err
		}
		var sent time.Time
		select {
		case sent = <-c.sent:
		default:
			return errProtocol // an answer to nothing
		}
		if err := c.check(r); err != nil {
			return err
		}
		if !before.IsZero() {
			if err := s.answered(c, before); err != nil {
				return err
			}
		}
		before = sent
		c.answers <- struct{}{} // there is room: the last was taken before this heartbeat was sent
	}
}

// beat sends a heartbeat every interval, and the first two at once, for a soon
// Contact.
func (c *conn) beat(ctx context.Context) error {
	o := &c.listener.options
	timer := time.NewTimer(0)
	defer timer.Stop()
	for first := true; ; first = false {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		now := time.Now()
		c.sent <- now // there is room: the last was taken before its answer was told
		_ = c.net.SetWriteDeadline(now.Add(o.Timeout))
		if _, err := c.net.Write(c.question); err != nil {
			if isTimeout(err) {
				err = ErrSilent
			}
			return err
		}
		timer.Reset(o.Timeout - time.Since(now))
		select {
		case <-c.answers:
		case <-timer.C:
			return ErrSilent
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if first {
			timer.Reset(0)
		} else {
			timer.Reset(o.Interval - time.Since(now))
		}
	}
}

func isTimeout(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}

// The pushes of the connection, as events.

func (c *conn) changed(key string) error {
	if changed := c.listener.options.Events.Changed; changed != nil {
		return c.listener.event(func() { changed(key) })
	}
	return nil
}

func (c *conn) flushed() error { return c.listener.flushed() }

func (c *conn) message(channel, payload string) error {
	m := c.listener.options.Events.Message
	if m == nil || c.of == 0 {
		return nil
	}
	return c.listener.event(func() { m(Message{Channel: channel, Payload: payload, From: c.from, Of: c.of}) })
}
