package tracking

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"
)

// contacts returns a listener that notes the asOf of each Contact.
func contacts(asOf *[]time.Time) *Listener {
	return &Listener{options: Options{Events: Events{Contact: func(t time.Time) { *asOf = append(*asOf, t) }}}}
}

// Contact is as of what all servers have told, not of what the first one has.
func TestContactIsOfTheSlowestServer(t *testing.T) {
	var got []time.Time
	s := &session{listener: contacts(&got)}
	a, b := &conn{}, &conn{}
	s.conns = []*conn{a, b}
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	for _, step := range []struct {
		of   *conn
		asOf int
	}{{a, 10}, {a, 20}, {b, 11}, {b, 30}, {a, 25}} {
		if err := s.answered(step.of, at(step.asOf)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []time.Time{at(11), at(20), at(25)}; !slices.Equal(got, want) {
		t.Errorf("contact as of: got %v, want %v", got, want)
	}
}

// An answer proves what was before the heartbeat before: neither what was before its
// own, nor what was before it came.
func TestContactIsAsOfTheHeartbeatBefore(t *testing.T) {
	var got []time.Time
	ours, theirs := net.Pipe()
	defer ours.Close()
	c := &conn{
		listener: contacts(&got), net: theirs, in: newReader(theirs), check: func(reply) error { return nil },
		sent: make(chan time.Time, 1), answers: make(chan struct{}, 1),
	}
	s := &session{listener: c.listener, conns: []*conn{c}}
	ended := make(chan error)
	go func() { ended <- c.receive(context.Background(), s) }()
	sent := []time.Time{time.Unix(1, 0), time.Unix(2, 0), time.Unix(3, 0)}
	for _, at := range sent {
		c.sent <- at
		if _, err := ours.Write([]byte("+OK\r\n")); err != nil {
			t.Fatal(err)
		}
		<-c.answers
	}
	_ = ours.Close()
	<-ended
	if want := sent[:2]; !slices.Equal(got, want) {
		t.Errorf("contact as of: got %v, want %v", got, want)
	}
}
