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

var stamps = []envelope.Stamp{
	{Name: "", ID: envelope.ID{1}},
	{Name: "catalog", ID: envelope.ID{2, 15: 9}},
	{Name: "catalog:\x00\xff", ID: envelope.ID{3}},
}

func stamped(h envelope.Header, payload string) []byte {
	return envelope.AppendStamped(nil, h, digest, envelope.NewStamps(stamps), []byte(payload))
}

// stampedEntries are the shapes that an entry with stamps can have.
func stampedEntries() map[string][]byte {
	return map[string][]byte{
		"value":   stamped(envelope.Header{Kind: envelope.Value, ID: id}, "hello"),
		"empty":   stamped(envelope.Header{Kind: envelope.Value, ID: id}, ""),
		"bounded": stamped(envelope.Header{Kind: envelope.Value, ID: id, Window: time.Hour, Deadline: 1_900_000_000_000}, "hello"),
		"locked":  stamped(envelope.Header{Kind: envelope.Locked, ID: id, Lock: lock}, "hello"),
		"ordered": stamped(envelope.Header{Kind: envelope.Value, ID: id, Order: 1 << 60}, "hello"),
		"both":    stamped(envelope.Header{Kind: envelope.Locked, ID: id, Order: 1, Lock: lock}, "hello"),
	}
}

func listed(s envelope.Stamps) (all []envelope.Stamp) {
	for name, id := range s.All() {
		all = append(all, envelope.Stamp{Name: string(name), ID: id})
	}
	return all
}

func TestStampsRoundTrip(t *testing.T) {
	for name, raw := range stampedEntries() {
		h, payload, err := envelope.Decode(raw, digest)
		if err != nil || payload == nil {
			t.Fatalf("%s: got %q, %v", name, payload, err)
		}
		want := "hello"
		if name == "empty" {
			want = ""
		}
		if string(payload) != want || cap(payload) != len(payload) {
			t.Errorf("%s: got payload %q, want %q without room", name, payload, want)
		}
		if got := listed(envelope.StampsOf(raw, h)); !slices.Equal(got, stamps) {
			t.Errorf("%s: got stamps %+v, want %+v", name, got, stamps)
		}
	}
	h, _, err := envelope.Decode(entries()["value"], digest)
	if err != nil || envelope.StampsOf(entries()["value"], h) != nil {
		t.Errorf("an entry without stamps: got %+v, %v", h, err)
	}
}

func TestLargestStamps(t *testing.T) {
	var most []envelope.Stamp
	for i := range envelope.MaxStamps {
		most = append(most, envelope.Stamp{Name: strings.Repeat("n", envelope.MaxStampName), ID: envelope.ID{byte(i)}})
	}
	packed := envelope.NewStamps(most)
	if len(packed) != envelope.MaxStampsSize {
		t.Errorf("got %d bytes, want MaxStampsSize = %d", len(packed), envelope.MaxStampsSize)
	}
	got, err := envelope.ParseStamps(packed)
	if err != nil || !slices.Equal(listed(got), most) {
		t.Errorf("got %d stamps, %v", len(listed(got)), err)
	}
	longer := envelope.NewStamps([]envelope.Stamp{{Name: strings.Repeat("n", envelope.MaxStampName+1)}})
	if _, err := envelope.ParseStamps(longer); err == nil {
		t.Error("a longer name was accepted")
	}
	if _, err := envelope.ParseStamps(envelope.NewStamps(append(most, most[0]))); err == nil {
		t.Error("more stamps were accepted")
	}
}

// The format is on other people's disks: it must not change by accident.
func TestStampsFormatIsFixed(t *testing.T) {
	h := envelope.Header{Kind: envelope.Value, ID: id}
	packed := envelope.NewStamps([]envelope.Stamp{{ID: envelope.ID{0xaa}}, {Name: "ab", ID: envelope.ID{15: 0xbb}}})
	section := "\x00\x00\x00\x2b\x02" + "\x00\x00" + "\xaa" + strings.Repeat("\x00", 15) + "\x00\x02ab" + strings.Repeat("\x00", 15) + "\xbb"
	if string(packed) != section {
		t.Fatalf("got  %x\nwant %x", packed, section)
	}
	want := "\xc1LD\x01" + "V" + "\x02" + string(id[:]) +
		"\x01\x23\x45\x67\x89\xab\xcd\xef" + "\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x2e"
	sum := crc32.Checksum([]byte(want+section+"xyz"), crc32.MakeTable(crc32.Castagnoli))
	want = string(binary.BigEndian.AppendUint32([]byte(want), sum)) + strings.Repeat("\x00", 12) + section + "xyz"
	if got := envelope.AppendStamped(nil, h, digest, packed, []byte("xyz")); string(got) != want {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	// The server locks it as it locks any value.
	h.Kind, h.Lock = envelope.Locked, lock
	locked := envelope.AppendStamped(nil, h, digest, packed, []byte("xyz"))
	if string(locked[:4])+"V"+string(locked[5:len(locked)-envelope.LockSize]) != want {
		t.Errorf("locked: got %x", locked)
	}
}

func TestEveryDamageOfStampsIsFound(t *testing.T) {
	for name, raw := range stampedEntries() {
		for bit := range len(raw) * 8 {
			bad := bytes.Clone(raw)
			bad[bit/8] ^= 1 << (bit % 8)
			if h, _, err := envelope.Decode(bad, digest); err == nil {
				t.Fatalf("%s: bit %d: accepted as %+v", name, bit, h)
			}
		}
		for size := range len(raw) {
			if _, _, err := envelope.Decode(raw[:size], digest); err == nil {
				t.Fatalf("%s: accepted its first %d bytes", name, size)
			}
		}
	}
}

// Bytes whose checksum is right, but not what their stamps say.
func TestStampsThatContradictThemselves(t *testing.T) {
	reseal := func(section string) []byte {
		return envelope.AppendStamped(nil, envelope.Header{Kind: envelope.Value, ID: id}, digest, envelope.Stamps(section), nil)
	}
	one := string(envelope.NewStamps(stamps[:1]))
	for name, section := range map[string]string{
		"none":              "\x00\x00\x00\x05\x00",
		"cut off":           one[:4],
		"too long":          "\xff\xff\xff\xff" + one[4:],
		"too short":         "\x00\x00\x00\x06" + one[4:],
		"one missing":       one[:4] + "\x02" + one[5:],
		"one too many":      "\x00\x00\x00\x29\x01" + one[5:] + one[5:],
		"a name beyond all": one[:5] + "\xff\xff" + one[7:],
		"an id cut off":     "\x00\x00\x00\x16" + one[4:len(one)-1],
	} {
		if h, _, err := envelope.Decode(reseal(section), digest); !errors.Is(err, envelope.ErrCorrupt) {
			t.Errorf("%s: got %+v, %v, want ErrCorrupt", name, h, err)
		}
		if _, err := envelope.ParseStamps([]byte(section)); err == nil {
			t.Errorf("%s: ParseStamps accepted it", name)
		}
	}
	raw := envelope.AppendStamped(nil, envelope.Header{Kind: envelope.Lease, ID: id}, digest, envelope.Stamps(one), nil)
	if _, _, err := envelope.Decode(raw, digest); !errors.Is(err, envelope.ErrCorrupt) {
		t.Errorf("a lease with stamps: got %v, want ErrCorrupt", err)
	}
}

// FuzzStamps: what ParseStamps accepts is what NewStamps writes, and no length
// in it is believed.
func FuzzStamps(f *testing.F) {
	f.Add([]byte(envelope.NewStamps(stamps)))
	f.Add([]byte(envelope.NewStamps(stamps[:1])))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := envelope.ParseStamps(raw)
		if err != nil {
			return
		}
		if again := envelope.NewStamps(listed(s)); !bytes.Equal(again, raw) {
			t.Fatalf("accepted %x, which is written %x", raw, again)
		}
		if n := testing.AllocsPerRun(1, func() { _, _ = envelope.ParseStamps(raw) }); n != 0 {
			t.Fatalf("got %v allocations, want 0", n)
		}
	})
}
