package distributed_test

import (
	"slices"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/envelope"
)

// markUnder reads the mark under key as it is stored.
func (s server) markUnder(t *testing.T, key string) (envelope.Header, []envelope.Writer) {
	t.Helper()
	h, payload, err := envelope.Decode([]byte(s.stored(t, key)), envelope.Digest(s.prefix+key))
	must(t, err)
	if h.Kind != envelope.Mark {
		t.Fatalf("got an entry of kind %c, want a mark", h.Kind)
	}
	return h, envelope.Writers(payload)
}

func (s server) beginWrite(t *testing.T, key string, ttl time.Duration) cache.WriteMark {
	t.Helper()
	m, err := s.BeginWrite(t.Context(), key, ttl)
	must(t, err)
	return m
}

// What a mark is on the server, through all that may become of it.
func testMarkLayout(t *testing.T, s server) {
	ctx := t.Context()
	tokens := func() (epoch [16]byte, out [][16]byte) {
		h, writers := s.markUnder(t, "k")
		for _, w := range writers {
			out = append(out, w.Token)
		}
		return h.ID, out
	}
	wantTTL := func(want time.Duration) {
		t.Helper()
		left := s.client.PTTL(ctx, s.prefix+"k").Val()
		if left > want || left < want-10*time.Second {
			t.Errorf("got a key that lives %v, want %v", left, want)
		}
	}
	must(t, s.Set(ctx, "k", []byte("old"), forever))
	a := s.beginWrite(t, "k", time.Hour)
	epoch, got := tokens()
	if epoch != a.Epoch || !slices.Equal(got, [][16]byte{a.Writer}) {
		t.Errorf("got %x, %x, want the mark %x", epoch, got, a)
	}
	wantTTL(time.Hour)
	b := s.beginWrite(t, "k", time.Minute)
	if _, got = tokens(); !slices.Equal(got, [][16]byte{a.Writer, b.Writer}) {
		t.Errorf("got %x, want both writers", got)
	}
	wantTTL(time.Hour)
	must(t, s.Remove(ctx, "k"))
	if _, got = tokens(); len(got) != 2 {
		t.Errorf("after Remove got %x, want both writers", got)
	}
	wantTTL(time.Hour)
	must(t, s.EndWrite(ctx, "k", a))
	if _, got = tokens(); !slices.Equal(got, [][16]byte{b.Writer}) {
		t.Errorf("got %x, want the one that is left", got)
	}
	wantTTL(time.Minute)
	must(t, s.EndWrite(ctx, "k", b))
	if state := s.state(t, "k"); state != "absent" {
		t.Errorf("got %s, want nothing", state)
	}
}

// Writers whose time is over are taken out of a mark when the next one comes.
func testMarkIsPruned(t *testing.T, s server) {
	long := s.beginWrite(t, "k", time.Hour)
	for range cache.MaxWriters - 1 {
		s.beginWrite(t, "k", time.Millisecond)
	}
	time.Sleep(5 * time.Millisecond) // the server's clock is real
	last := s.beginWrite(t, "k", time.Hour)
	_, writers := s.markUnder(t, "k")
	if len(writers) != 2 || writers[0].Token != long.Writer || writers[1].Token != last.Writer {
		t.Errorf("got %d writers, want the first and the last", len(writers))
	}
}

// A damaged mark is as good as none: a miss that is counted, which a lease
// replaces. The server refuses its part likewise, see testStates.
func testDamagedMark(t *testing.T, s server) {
	m := s.beginWrite(t, "k", time.Hour)
	raw := []byte(s.stored(t, "k"))
	for i := range raw {
		bad := slices.Clone(raw)
		bad[i] ^= 0x10
		s.raw(t, "k", string(bad))
		before := s.Stats().Undecodable
		wantMiss(t, s, "k")
		if s.Stats().Undecodable != before+1 {
			t.Fatalf("byte %d: the damage was not counted", i)
		}
		_, err := s.BeginWrite(t.Context(), "k", time.Hour)
		must(t, err)
		s.markUnder(t, "k")
	}
	s.raw(t, "k", string(raw))
	must(t, s.EndWrite(t.Context(), "k", m))
	s.raw(t, "k", string(raw[:len(raw)-1]))
	lease(t, s, "k")
}

// An unmarked Set stays one SET, and a marked key counts as nothing but a miss.
func testMarkIsNoDamage(t *testing.T, s server) {
	s.beginWrite(t, "k", time.Hour)
	before := s.Stats()
	wantMiss(t, s, "k")
	_, _, err := s.Count(t.Context(), "k")
	must(t, err)
	_, _, err = s.GetItem(t.Context(), "k")
	must(t, err)
	after := s.Stats()
	if after.Undecodable != before.Undecodable || after.Misses != before.Misses+3 {
		t.Errorf("got %d undecodable, %d misses, want 0 and 3 more", after.Undecodable-before.Undecodable, after.Misses-before.Misses)
	}
}
