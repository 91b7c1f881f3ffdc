package envelope_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/envelope"
)

var id = envelope.ID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

const digest = 0x0123456789abcdef

// lock has a deadline to come back to.
var lock = envelope.Lock{Handle: envelope.ID{16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, Until: 1_800_000_000_000, After: 1_900_000_000_000}

// What the payload of a mark is.
var (
	oneWriter    = string(envelope.AppendWriter(nil, envelope.Writer{Token: id, Until: 1_800_000_000_000}))
	threeWriters = oneWriter + string(envelope.AppendWriter(envelope.AppendWriter(nil,
		envelope.Writer{Token: envelope.ID{2}, Until: 1}), envelope.Writer{Token: envelope.ID{3}, Until: 1<<48 - 1}))
)

func mk(h envelope.Header, payload string) []byte {
	return envelope.Append(nil, h, digest, []byte(payload))
}

// entries are the shapes an entry can have.
func entries() map[string][]byte {
	return map[string][]byte{
		"lease":            mk(envelope.Header{Kind: envelope.Lease, ID: id}, ""),
		"followed lease":   mk(envelope.Header{Kind: envelope.Lease, ID: id, Deadline: envelope.Followed}, ""),
		"empty value":      mk(envelope.Header{Kind: envelope.Value, ID: id}, ""),
		"value":            mk(envelope.Header{Kind: envelope.Value, ID: id}, "hello"),
		"sliding":          mk(envelope.Header{Kind: envelope.Value, ID: id, Window: time.Hour}, "hello"),
		"sliding in bound": mk(envelope.Header{Kind: envelope.Value, ID: id, Window: time.Hour, Deadline: 1_900_000_000_000}, "hello"),
		"binary payload":   mk(envelope.Header{Kind: envelope.Value, ID: id}, envelope.Magic+"\x00\xff"),
		"locked":           mk(envelope.Header{Kind: envelope.Locked, ID: id, Lock: lock}, "hello"),
		"locked empty":     mk(envelope.Header{Kind: envelope.Locked, ID: id, Lock: lock}, ""),
		"locked for ever":  mk(envelope.Header{Kind: envelope.Locked, ID: id, Lock: envelope.Lock{Handle: id, Until: 1<<48 - 1}}, "hello"),
		"locked sliding":   mk(envelope.Header{Kind: envelope.Locked, ID: id, Window: time.Hour, Deadline: 1_900_000_000_000, Lock: lock}, "hello"),
		"mark":             mk(envelope.Header{Kind: envelope.Mark, ID: id}, oneWriter),
		"mark of three":    mk(envelope.Header{Kind: envelope.Mark, ID: id}, threeWriters),
		"ordered":          mk(envelope.Header{Kind: envelope.Value, ID: id, Order: 1<<64 - 1}, "hello"),
		"ordered empty":    mk(envelope.Header{Kind: envelope.Value, ID: id, Window: time.Hour, Order: 1}, ""),
		"ordered locked":   mk(envelope.Header{Kind: envelope.Locked, ID: id, Order: 1 << 40, Lock: lock}, "hello"),
		"hold":             mk(envelope.Header{Kind: envelope.Hold, Lock: envelope.Lock{Handle: id, Until: 1}}, ""),
	}
}

func TestRoundTrip(t *testing.T) {
	for name, h := range map[string]envelope.Header{
		"lease":    {Kind: envelope.Lease, ID: id},
		"followed": {Kind: envelope.Lease, ID: id, Deadline: envelope.Followed},
		"value":    {Kind: envelope.Value, ID: id},
		"sliding":  {Kind: envelope.Value, ID: id, Window: time.Millisecond},
		"bounded":  {Kind: envelope.Value, ID: id, Window: 10 * 365 * 24 * time.Hour, Deadline: 1<<48 - 1},
		"locked":   {Kind: envelope.Locked, ID: id, Window: time.Hour, Deadline: 1<<48 - 1, Lock: lock},
		"ordered":  {Kind: envelope.Locked, ID: id, Order: 1<<64 - 1, Lock: lock},
		"hold":     {Kind: envelope.Hold, ID: id, Lock: envelope.Lock{Handle: id, Until: 1<<48 - 1}},
		"mark":     {Kind: envelope.Mark, ID: id},
	} {
		t.Run(name, func(t *testing.T) {
			payload := []byte("payload")
			if h.Kind == envelope.Lease || h.Kind == envelope.Hold {
				payload = nil
			}
			if h.Kind == envelope.Mark {
				payload = []byte(threeWriters)
			}
			raw := envelope.Append([]byte("before"), h, digest, payload)
			got, body, err := envelope.Decode(raw[len("before"):], digest)
			if err != nil || got != h || !bytes.Equal(body, payload) || body == nil {
				t.Fatalf("got %+v, %q, %v, want %+v, %q", got, body, err, h, payload)
			}
			if cap(body) != len(body) {
				t.Errorf("the payload has %d bytes of room, so appending to it would write beyond", cap(body)-len(body))
			}
		})
	}
}

// The format is on other people's disks: it must not change by accident.
func TestFormatIsFixed(t *testing.T) {
	h := envelope.Header{Kind: envelope.Value, ID: id, Window: 1500 * time.Millisecond, Deadline: 0x010203040506}
	got := envelope.Append(nil, h, digest, []byte("xyz"))
	want := "\xc1LD\x01" + "V" + "\x00" + string(id[:]) +
		"\x01\x23\x45\x67\x89\xab\xcd\xef" + "\x00\x00\x00\x00\x05\xdc" + "\x00\x00\x00\x03"
	sum := crc32.Checksum([]byte(want+"xyz"), crc32.MakeTable(crc32.Castagnoli))
	want = string(binary.BigEndian.AppendUint32([]byte(want), sum)) + "\x01\x02\x03\x04\x05\x06" + "\x01\x02\x03\x04\x05\x06" + "xyz"
	if string(got) != want {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	if len(want) != envelope.HeaderSize+3 {
		t.Errorf("got a header of %d bytes, want %d", len(want)-3, envelope.HeaderSize)
	}
}

// A value with an order is one with a flag and eight bytes more before its
// payload, which the length and the checksum cover.
func TestOrderedFormatIsFixed(t *testing.T) {
	got := envelope.Append(nil, envelope.Header{Kind: envelope.Value, ID: id, Order: 0x0102030405060708}, digest, []byte("xyz"))
	want := envelope.Append(nil, envelope.Header{Kind: envelope.Value, ID: id}, digest, []byte("\x01\x02\x03\x04\x05\x06\x07\x08xyz"))
	want[5] = 1
	sum := crc32.MakeTable(crc32.Castagnoli)
	binary.BigEndian.PutUint32(want[40:], crc32.Update(crc32.Checksum(want[:40], sum), sum, want[envelope.HeaderSize:]))
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// The server locks a value by two changes to its bytes, and can do no other.
func TestLockedFormatIsFixed(t *testing.T) {
	h := envelope.Header{Kind: envelope.Value, ID: id, Window: 1500 * time.Millisecond, Deadline: 0x010203040506}
	value := envelope.Append(nil, h, digest, []byte("xyz"))
	h.Kind, h.Lock = envelope.Locked, envelope.Lock{Handle: envelope.ID{0xaa, 15: 0xbb}, Until: 0x0a0b0c0d0e0f, After: 0x112233445566}
	got := envelope.Append(nil, h, digest, []byte("xyz"))
	copied := "\xaa" + strings.Repeat("\x00", 14) + "\xbb" + "\x0a\x0b\x0c\x0d\x0e\x0f" + "\x11\x22\x33\x44\x55\x66"
	want := string(value[:4]) + "K" + string(value[5:]) + copied + copied
	if string(got) != want || len(copied)*2 != envelope.LockSize {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	hold := envelope.Header{Kind: envelope.Hold, Lock: envelope.Lock{Handle: h.Lock.Handle, Until: h.Lock.Until}}
	got = envelope.Append(nil, hold, digest, nil)
	copied = copied[:22] + strings.Repeat("\x00", 6)
	if len(got) != envelope.HeaderSize+envelope.LockSize || got[4] != 'H' || string(got[envelope.HeaderSize:]) != copied+copied {
		t.Errorf("hold: got %x", got)
	}
}

// The server writes the writers, and replaces the header as a whole.
func TestMarkFormatIsFixed(t *testing.T) {
	got := mk(envelope.Header{Kind: envelope.Mark, ID: id}, threeWriters)
	head := mk(envelope.Header{Kind: envelope.Lease, ID: id}, "")
	head[4] = 'M'
	binary.BigEndian.PutUint32(head[40:], crc32.Checksum(head[:40], crc32.MakeTable(crc32.Castagnoli)))
	one := string(id[:]) + "\x01\xa3\x18\x5c\x50\x00"
	if string(got) != string(head)+threeWriters+threeWriters || oneWriter != one {
		t.Errorf("got  %x\nwant %x, %x", got, head, one)
	}
	_, payload, err := envelope.Decode(got, digest)
	want := []envelope.Writer{{Token: id, Until: 1_800_000_000_000}, {Token: envelope.ID{2}, Until: 1}, {Token: envelope.ID{3}, Until: 1<<48 - 1}}
	if err != nil || !slices.Equal(envelope.Writers(payload), want) {
		t.Errorf("got %v, %v, want %v", envelope.Writers(payload), err, want)
	}
}

func TestDigestIsFNV1a(t *testing.T) {
	for key, want := range map[string]uint64{
		"":       0xcbf29ce484222325,
		"a":      0xaf63dc4c8601ec8c,
		"foobar": 0x85944171f73967e8,
	} {
		if got := envelope.Digest(key); got != want {
			t.Errorf("Digest(%q): got %x, want %x", key, got, want)
		}
	}
}

func TestEveryDamageIsFound(t *testing.T) {
	n := 0
	for name, raw := range entries() {
		if _, _, err := envelope.Decode(raw, digest); err != nil {
			t.Fatalf("%s: undamaged: %v", name, err)
		}
		for bit := range len(raw) * 8 {
			bad := bytes.Clone(raw)
			bad[bit/8] ^= 1 << (bit % 8)
			mustRefuse(t, name, bad)
			n++
		}
		for size := range len(raw) {
			mustRefuse(t, name, raw[:size])
			n++
		}
		mustRefuse(t, name, append(bytes.Clone(raw), 0))
		mustRefuse(t, name, append(bytes.Clone(raw), raw...))
	}
	t.Logf("%d damaged entries, none accepted", n)
}

func mustRefuse(t *testing.T, name string, raw []byte) {
	t.Helper()
	h, payload, err := envelope.Decode(raw, digest)
	if err == nil {
		t.Fatalf("%s: accepted %x", name, raw)
	}
	if payload != nil || h != (envelope.Header{}) {
		t.Fatalf("%s: got content beside the error %v", name, err)
	}
}

func TestErrorsSayWhatItIs(t *testing.T) {
	// reseal gives a changed header the right checksum, as a later larder would.
	reseal := func(change func([]byte)) []byte {
		raw := envelope.Append(nil, envelope.Header{Kind: envelope.Value, ID: id}, digest, nil)
		change(raw)
		binary.BigEndian.PutUint32(raw[40:], crc32.Checksum(raw[:40], crc32.MakeTable(crc32.Castagnoli)))
		return raw
	}
	noOrder := mk(envelope.Header{Kind: envelope.Value, Order: 1}, "")
	noOrder[envelope.HeaderSize+7] = 0
	sum := crc32.MakeTable(crc32.Castagnoli)
	binary.BigEndian.PutUint32(noOrder[40:], crc32.Update(crc32.Checksum(noOrder[:40], sum), sum, noOrder[envelope.HeaderSize:]))
	for name, tc := range map[string]struct {
		raw  []byte
		want error
	}{
		"nothing":                 {nil, envelope.ErrForeign},
		"text":                    {[]byte("hello"), envelope.ErrForeign},
		"a counter":               {[]byte("42"), envelope.ErrForeign},
		"long text":               {[]byte(strings.Repeat("x", 500)), envelope.ErrForeign},
		"half a magic":            {[]byte(envelope.Magic[:3]), envelope.ErrForeign},
		"another format":          {reseal(func(b []byte) { b[3] = 2 }), envelope.ErrForeign},
		"a flag":                  {reseal(func(b []byte) { b[5] = 4 }), envelope.ErrForeign},
		"a flag more":             {reseal(func(b []byte) { b[5] = 5 }), envelope.ErrForeign},
		"an order cut off":        {reseal(func(b []byte) { b[5] = 1 }), envelope.ErrCorrupt},
		"an order of nothing":     {noOrder, envelope.ErrCorrupt},
		"a lease with an order":   {mk(envelope.Header{Kind: envelope.Lease, Order: 1}, ""), envelope.ErrCorrupt},
		"a hold with an order":    {mk(envelope.Header{Kind: envelope.Hold, Order: 1, Lock: envelope.Lock{Handle: id, Until: 1}}, ""), envelope.ErrCorrupt},
		"a lock cut off":          {entries()["locked"][:len(entries()["locked"])-envelope.LockSize], envelope.ErrCorrupt},
		"a locked value, no lock": {reseal(func(b []byte) { b[4] = byte(envelope.Locked) }), envelope.ErrCorrupt},
		"a hold without a lock":   {reseal(func(b []byte) { b[4] = byte(envelope.Hold) }), envelope.ErrCorrupt},
		"a value with a lock":     {append(entries()["value"], entries()["hold"][envelope.HeaderSize:]...), envelope.ErrCorrupt},
		"a lock without an end":   {mk(envelope.Header{Kind: envelope.Locked, Lock: envelope.Lock{Handle: id}}, "v"), envelope.ErrCorrupt},
		"a hold with a value":     {mk(envelope.Header{Kind: envelope.Hold, Lock: envelope.Lock{Handle: id, Until: 1}}, "v"), envelope.ErrCorrupt},
		"a hold with a window":    {mk(envelope.Header{Kind: envelope.Hold, Window: time.Hour, Lock: envelope.Lock{Handle: id, Until: 1}}, ""), envelope.ErrCorrupt},
		"a hold with a deadline":  {mk(envelope.Header{Kind: envelope.Hold, Lock: lock}, ""), envelope.ErrCorrupt},
		"a mark without writers":  {reseal(func(b []byte) { b[4] = byte(envelope.Mark) }), envelope.ErrCorrupt},
		"a mark, one copy":        {mk(envelope.Header{Kind: envelope.Mark}, oneWriter)[:envelope.HeaderSize+len(oneWriter)], envelope.ErrCorrupt},
		"a mark, half a writer":   {mk(envelope.Header{Kind: envelope.Mark}, oneWriter[:11]), envelope.ErrCorrupt},
		"a mark, a writer's time": {mk(envelope.Header{Kind: envelope.Mark}, oneWriter[:16]+strings.Repeat("\x00", 6)), envelope.ErrCorrupt},
		"a mark with a window":    {mk(envelope.Header{Kind: envelope.Mark, Window: time.Hour}, oneWriter), envelope.ErrCorrupt},
		"another kind":            {reseal(func(b []byte) { b[4] = 'Z' }), envelope.ErrForeign},
		"magic only":              {[]byte(envelope.Magic), envelope.ErrCorrupt},
		"a window beyond time":    {reseal(func(b []byte) { b[30] = 0xff }), envelope.ErrCorrupt},
		"a deadline, no window":   {reseal(func(b []byte) { b[49], b[55] = 1, 1 }), envelope.ErrCorrupt},
		"a lease with a deadline": {mk(envelope.Header{Kind: envelope.Lease, ID: id, Deadline: 1_900_000_000_000}, ""), envelope.ErrCorrupt},
		"a lease with a window":   {reseal(func(b []byte) { b[4], b[35] = 'L', 1 }), envelope.ErrCorrupt},
		"an entry of another key": {envelope.Append(nil, envelope.Header{Kind: envelope.Value}, digest+1, nil), envelope.ErrOtherKey},
	} {
		if _, _, err := envelope.Decode(tc.raw, digest); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	raw := envelope.Append(nil, envelope.Header{Kind: envelope.Value, ID: id}, digest, make([]byte, 1024))
	bad := bytes.Clone(raw)
	bad[len(bad)-1] ^= 1
	locked := entries()["locked"]
	key := strings.Repeat("k", 100)
	if n := testing.AllocsPerRun(100, func() {
		_, _, _ = envelope.Decode(raw, digest)
		_, _, _ = envelope.Decode(bad, digest)
		_, _, _ = envelope.Decode(locked, digest)
		_ = envelope.Digest(key)
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// FuzzDecode: Decode accepts exactly what Append writes, and allocates nothing
// whatever lengths the bytes claim.
func FuzzDecode(f *testing.F) {
	for _, raw := range entries() {
		f.Add(raw, uint64(digest))
	}
	for _, raw := range stampedEntries() {
		f.Add(raw, uint64(digest))
	}
	f.Add([]byte("42"), uint64(0))
	f.Fuzz(func(t *testing.T, raw []byte, digest uint64) {
		before := bytes.Clone(raw)
		h, payload, err := envelope.Decode(raw, digest)
		if !bytes.Equal(raw, before) {
			t.Fatal("Decode changed its input")
		}
		if err == nil && !bytes.Equal(envelope.AppendStamped(nil, h, digest, envelope.StampsOf(raw, h), payload), raw) {
			t.Fatalf("accepted %x as %+v, which is written differently", raw, h)
		}
		if n := testing.AllocsPerRun(1, func() { _, _, _ = envelope.Decode(raw, digest) }); n != 0 {
			t.Fatalf("got %v allocations, want 0", n)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	raw := envelope.Append(nil, envelope.Header{Kind: envelope.Value, ID: id}, digest, make([]byte, 1024))
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = envelope.Decode(raw, digest)
	}
}
