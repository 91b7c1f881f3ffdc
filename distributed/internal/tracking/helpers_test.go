package tracking

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const patience = 20 * time.Second

// recorder keeps what a Listener reports.
type recorder struct {
	mu       sync.Mutex
	news     chan struct{} // closed and replaced at each event
	order    []string      // flushed, contact and lost, without repetition
	changed  map[string]int
	flushes  int
	contacts int
	asOf     time.Time
	err      error
	messages []Message
}

// listen returns what a Listener with these options reports. It is closed when
// the test ends.
func listen(t testing.TB, client redis.UniversalClient, o Options) (*Listener, *recorder) {
	t.Helper()
	r := &recorder{news: make(chan struct{}), changed: make(map[string]int)}
	given := o.Events.Changed
	o.Events = Events{
		Changed: func(key string) {
			if given != nil {
				given(key)
			}
			r.note("", func() { r.changed[key]++ })
		},
		Flushed: func() { r.note("flushed", func() { r.flushes++ }) },
		Contact: func(asOf time.Time) {
			r.note("contact", func() {
				if !asOf.After(r.asOf) {
					t.Errorf("Contact went back by %v", r.asOf.Sub(asOf))
				}
				if asOf.After(time.Now()) {
					t.Error("Contact is in the future")
				}
				r.contacts++
				r.asOf = asOf
			})
		},
		Lost:    func(err error) { r.note("lost", func() { r.err = err }) },
		Message: func(m Message) { r.note("", func() { r.messages = append(r.messages, m) }) },
	}
	l := New(client, o)
	t.Cleanup(func() { shut(t, l) })
	return l, r
}

func shut(t testing.TB, l *Listener) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Errorf("Close: got %v, want nil", err)
	}
}

func (r *recorder) note(event string, change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	if event != "" && (len(r.order) == 0 || r.order[len(r.order)-1] != event) {
		r.order = append(r.order, event)
	}
	close(r.news)
	r.news = make(chan struct{})
}

// await waits until ok, which is called under the lock.
func (r *recorder) await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		done, news, order, err := ok(), r.news, slices.Clone(r.order), r.err
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-news:
		case <-late:
			t.Fatalf("%s: not within %v; events %v, last error %v", what, patience, order, err)
		}
	}
}

// awaitContact waits for contact as of now or later.
func (r *recorder) awaitContact(t testing.TB) {
	t.Helper()
	now := time.Now()
	r.await(t, "contact", func() bool { return r.asOf.After(now) })
}

// mark forgets the order of events so far.
func (r *recorder) mark() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.order = nil
}

// wantOrder waits for these events and no others since mark, not counting how
// often each came in a row, nor contact before anything happened.
func (r *recorder) wantOrder(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	r.await(t, "events", func() bool {
		got = slices.Clone(r.order)
		if len(got) > 0 && got[0] == "contact" {
			got = got[1:]
		}
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("events: got %v, want %v", got, want)
	}
}

// locked is r's field, read while no event is under way.
func locked[T any](r *recorder, field *T) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *field
}

// keys returns how many keys have changed.
func (r *recorder) keys() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.changed)
}

func do(t testing.TB, client redis.UniversalClient, args ...any) {
	t.Helper()
	if err := client.Do(context.Background(), args...).Err(); err != nil && err != redis.Nil {
		t.Fatalf("%v: %v", args[0], err)
	}
}
