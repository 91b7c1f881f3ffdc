package envelope

import (
	"encoding/binary"
	"errors"
	"iter"
)

// Stamps stand before the payload of a value that depends on regions. They
// say under which generations it was stored:
//
//	0 4  length of all the stamps, these four bytes included
//	4 1  how many there are
//	5    of each: the length of its name in 2 bytes, the name, 16 bytes of id
type Stamps []byte

// Stamp is one of them.
type Stamp struct {
	Name string // of what it is a stamp of
	ID   ID     // of the generation that was the current one
}

const (
	// MaxStamps is how many stamps an entry may have.
	MaxStamps = 64

	// MaxStampName is the longest name in one, in bytes.
	MaxStampName = 4096

	// MaxStampsSize is the longest that the stamps of an entry can be.
	MaxStampsSize = stampsHead + MaxStamps*(stampNameHead+MaxStampName+stampID)

	stampsHead    = 5
	stampNameHead = 2
	stampID       = 16
)

// flagStamps says that stamps stand before the payload, after the order if there
// is one. The length in the header then is that of all.
const flagStamps = 2

var errStamps = errors.New("envelope: invalid stamps")

// NewStamps returns the stamps as an entry holds them. There is at least one and
// at most MaxStamps, none with a name beyond MaxStampName.
func NewStamps(stamps []Stamp) Stamps {
	size := stampsHead
	for _, s := range stamps {
		size += stampNameHead + len(s.Name) + stampID
	}
	b := make([]byte, 0, size)
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(b, byte(len(stamps)))
	for _, s := range stamps {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s.Name)))
		b = append(b, s.Name...)
		b = append(b, s.ID[:]...)
	}
	return b
}

// ParseStamps checks that raw is stamps and nothing else.
func ParseStamps(raw []byte) (Stamps, error) {
	if n := stampsIn(raw); n == 0 || n != len(raw) {
		return nil, errStamps
	}
	return Stamps(raw), nil
}

// All returns the names and the ids of stamps that NewStamps, ParseStamps or
// Decode has returned. The names are part of the stamps.
func (s Stamps) All() iter.Seq2[[]byte, ID] {
	return func(yield func([]byte, ID) bool) {
		for rest := s[min(len(s), stampsHead):]; len(rest) > 0; {
			end := stampNameHead + int(binary.BigEndian.Uint16(rest))
			if !yield(rest[stampNameHead:end], ID(rest[end:])) {
				return
			}
			rest = rest[end+stampID:]
		}
	}
}

// stampsIn returns the length of the stamps that body begins with, or 0 if there
// are none that are valid.
func stampsIn(body []byte) int {
	if len(body) < stampsHead {
		return 0
	}
	size, left := uint64(binary.BigEndian.Uint32(body)), int(body[4])
	if size > uint64(len(body)) || left == 0 || left > MaxStamps {
		return 0
	}
	at := stampsHead
	for ; left > 0; left-- {
		if int(size)-at < stampNameHead {
			return 0
		}
		name := int(binary.BigEndian.Uint16(body[at:]))
		at += stampNameHead + name + stampID
		if name > MaxStampName || at > int(size) {
			return 0
		}
	}
	if at != int(size) {
		return 0
	}
	return at
}

// StampsOf returns the stamps of raw, whose header Decode has returned; nil if
// it has none. They are part of raw.
func StampsOf(raw []byte, h Header) Stamps {
	if h.Stamps == 0 {
		return nil
	}
	start := HeaderSize
	if h.Order != 0 {
		start += OrderSize
	}
	return Stamps(raw[start : start+h.Stamps : start+h.Stamps])
}

// AppendStamped is Append for a value with stamps.
func AppendStamped(dst []byte, h Header, digest uint64, stamps Stamps, payload []byte) []byte {
	return appendEntry(dst, h, digest, stamps, payload)
}
