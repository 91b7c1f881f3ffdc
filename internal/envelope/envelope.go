// Package envelope is the form of a larder entry in Redis: a fixed header that
// says what the entry is, and the payload. It is a leaf: it knows neither Redis
// nor expirations, only bytes.
//
// The offsets are part of the format, because the server's scripts read and
// write single fields by them:
//
//	 0  4  magic, its last byte the format's number
//	 4  1  kind
//	 5  1  flags: 1 if the value has an order, 2 if it has stamps; the others are
//	       reserved, so 0
//	 6 16  version of a value, token of a lease, epoch of a mark
//	22  8  digest of the full Redis key
//	30  6  sliding window in milliseconds; 0: none
//	36  4  length of what follows the header, but for a lock or writers
//	40  4  CRC-32C of bytes 0 to 39 and of that
//	44  6  absolute deadline in milliseconds of the server's clock; 0: none; of
//	       a lease, 1 if another process waits for it
//	50  6  the deadline again
//	56  8  the value's order, if it has one
//	       its stamps, if it has any
//	       payload
//
// A locked value, and a hold, end with the lock:
//
//	 0 16  handle
//	16  6  when the lock runs out, in milliseconds of the server's clock
//	22  6  the value's deadline once the lock has ended; 0: none
//	28 28  all that again
//
// A mark has no payload. It ends with its writers, each
//
//	 0 16  token
//	16  6  when its time is over, in milliseconds of the server's clock
//
// and with all of them again.
//
// Numbers are big endian. The server writes the deadlines, the lock and the
// writers, and it cannot compute the checksum, so they are outside of it and
// written twice instead. A mark gets another epoch as a whole header. For the same reason a locked value's checksum is the one that it has
// unlocked: the server locks it by its kind and the lock at its end.
//
// The header names no codec: a payload's framing is the business of who encoded
// it, so that it means the same in every cache.
package envelope

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// Magic begins every entry. 0xC1 begins neither text nor a msgpack value.
const Magic = "\xc1LD\x01"

// HeaderSize is the length of the header; the payload follows.
const HeaderSize = 56

// LockSize is the length of the lock at the end of what is locked.
const LockSize = 2 * lockCopy

// OrderSize is what an order adds to an entry.
const OrderSize = 8

const (
	offKind     = 4
	offFlags    = 5
	offVersion  = 6
	offDigest   = 22
	offWindow   = 30
	offLength   = 36
	offChecksum = 40
	offDeadline = 44
	offAgain    = 50

	// Within the lock.
	offHandle = 0
	offUntil  = 16
	offAfter  = 22
	lockCopy  = 28

	flagOrder = 1
)

// Kind says what an entry is. The header is the same for all.
type Kind byte

const (
	// Value is a stored value.
	Value Kind = 'V'
	// Lease is the right of one load to fill the key. It has no payload.
	Lease Kind = 'L'
	// Locked is a value with a lock, which may have run out.
	Locked Kind = 'K'
	// Hold is a lock on a key without a value. It has no payload.
	Hold Kind = 'H'
	// Mark stands for writers that may be about to commit. Its payload, for
	// Append and Decode, is its writers; see Writers.
	Mark Kind = 'M'
)

func (k Kind) hasLock() bool { return k == Locked || k == Hold }

// ID is a value's version, a lease's token or a lock's handle. Two entries
// never share one, nor do two locks.
type ID [16]byte

// Header is what an entry says about itself.
type Header struct {
	Kind     Kind
	ID       ID            // version of a value, token of a Lease, epoch of a Mark; a Hold's means nothing
	Window   time.Duration // sliding window, whole milliseconds; 0: none
	Deadline int64         // milliseconds of the server's clock; 0: none, else with a Window only; of a Lease, 0 or Followed
	Order    uint64        // of a value in its source; 0: none
	Lock     Lock          // of a Locked or a Hold
	Stamps   int           // their length; Append does not look at it
}

// Lock is what a lock says about itself, in milliseconds of the server's clock.
type Lock struct {
	Handle ID
	Until  int64 // when it runs out; never 0
	After  int64 // the value's deadline once the lock has ended; 0: none
}

// Writer is one of the writers of a Mark.
type Writer struct {
	Token ID
	Until int64 // when its time is over, in milliseconds of the server's clock; never 0
}

const writerSize = 22

// AppendWriter appends a writer to the payload of a Mark.
func AppendWriter(dst []byte, w Writer) []byte {
	return appendUint48(append(dst, w.Token[:]...), uint64(w.Until))
}

// Writers reads the payload of a Mark that Decode accepted.
func Writers(payload []byte) []Writer {
	var all []Writer
	for ; len(payload) >= writerSize; payload = payload[writerSize:] {
		all = append(all, Writer{ID(payload), int64(uint48(payload[offUntil:]))})
	}
	return all
}

// Errors of Decode.
var (
	// ErrForeign: larder did not write this, or a later larder did.
	ErrForeign = errors.New("envelope: foreign data")
	// ErrCorrupt: an entry that was damaged.
	ErrCorrupt = errors.New("envelope: corrupt entry")
	// ErrOtherKey: an intact entry of another key.
	ErrOtherKey = errors.New("envelope: entry of another key")
)

// Followed is the Deadline of a Lease that another process waits for: the server
// marks it so in the place of a deadline, which a lease has not.
const Followed = 1

// MaxPayload is the longest payload that the header can name.
const MaxPayload = 1<<32 - 1 - OrderSize

// maxMillis is the longest window that fits a time.Duration.
const maxMillis = uint64(1<<63-1) / uint64(time.Millisecond)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Digest returns the digest of a full Redis key: FNV-1a, 64 bits. It tells
// apart keys that were mixed up, not keys that were forged.
func Digest(key string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * prime
	}
	return h
}

// Append appends the entry of the key with this digest to dst. The payload is
// at most MaxPayload long.
func Append(dst []byte, h Header, digest uint64, payload []byte) []byte {
	return appendEntry(dst, h, digest, nil, payload)
}

func appendEntry(dst []byte, h Header, digest uint64, stamps Stamps, payload []byte) []byte {
	start := len(dst)
	var writers []byte
	if h.Kind == Mark {
		writers, payload = payload, nil
	}
	var flags byte
	size := len(stamps) + len(payload)
	if len(stamps) > 0 {
		flags |= flagStamps
	}
	if h.Order != 0 {
		flags |= flagOrder
		size += OrderSize
	}
	dst = append(dst, Magic...)
	dst = append(dst, byte(h.Kind), flags)
	dst = append(dst, h.ID[:]...)
	dst = binary.BigEndian.AppendUint64(dst, digest)
	dst = appendUint48(dst, uint64(h.Window/time.Millisecond))
	dst = binary.BigEndian.AppendUint32(dst, uint32(size))
	dst = binary.BigEndian.AppendUint32(dst, 0) // the checksum follows
	dst = appendUint48(dst, uint64(h.Deadline))
	dst = appendUint48(dst, uint64(h.Deadline))
	if h.Order != 0 {
		dst = binary.BigEndian.AppendUint64(dst, h.Order)
	}
	dst = append(append(dst, stamps...), payload...)
	raw := dst[start:]
	binary.BigEndian.PutUint32(raw[offChecksum:], checksum(raw[:offChecksum], raw[HeaderSize:]))
	dst = append(append(dst, writers...), writers...)
	if h.Kind.hasLock() {
		dst = appendLock(appendLock(dst, h.Lock), h.Lock)
	}
	return dst
}

func appendLock(dst []byte, l Lock) []byte {
	dst = append(dst, l.Handle[:]...)
	dst = appendUint48(dst, uint64(l.Until))
	return appendUint48(dst, uint64(l.After))
}

// Decode reads the entry of the key with this digest. The payload is a part of
// raw, never nil, its capacity cut to its length. Anything that Append did not
// write for this key, byte for byte, is one of the three errors. It does not
// allocate.
func Decode(raw []byte, digest uint64) (h Header, payload []byte, err error) {
	if len(raw) < len(Magic) || string(raw[:len(Magic)]) != Magic {
		return Header{}, nil, ErrForeign
	}
	if len(raw) < HeaderSize {
		return Header{}, nil, ErrCorrupt
	}
	end := len(raw)
	kind := Kind(raw[offKind])
	switch {
	case kind.hasLock():
		end = max(HeaderSize, end-LockSize)
	case kind == Mark:
		end = HeaderSize
	}
	payload = raw[HeaderSize:end:end] // and what stands before it, for now
	if uint64(binary.BigEndian.Uint32(raw[offLength:])) != uint64(len(payload)) ||
		binary.BigEndian.Uint32(raw[offChecksum:]) != checksum(raw[:offChecksum], payload) {
		return Header{}, nil, ErrCorrupt
	}
	if err := checkFields(raw, payload); err != nil {
		return Header{}, nil, err
	}
	if binary.BigEndian.Uint64(raw[offDigest:]) != digest {
		return Header{}, nil, ErrOtherKey
	}
	h = Header{
		Kind:     kind,
		ID:       ID(raw[offVersion:]),
		Window:   time.Duration(uint48(raw[offWindow:])) * time.Millisecond,
		Deadline: int64(uint48(raw[offDeadline:])),
	}
	if raw[offFlags]&flagOrder != 0 {
		h.Order = binary.BigEndian.Uint64(payload)
		payload = payload[OrderSize:]
	}
	switch {
	case kind.hasLock():
		h.Lock = lockOf(raw[end:])
	case kind == Mark:
		end += (len(raw) - end) / 2
		payload = raw[HeaderSize:end:end]
	}
	if raw[offFlags]&flagStamps != 0 {
		h.Stamps = stampsIn(payload)
	}
	return h, payload[h.Stamps:], nil
}

// lockOf reads a lock that was checked.
func lockOf(raw []byte) Lock {
	return Lock{
		Handle: ID(raw[offHandle:]),
		Until:  int64(uint48(raw[offUntil:])),
		After:  int64(uint48(raw[offAfter:])),
	}
}

// checkFields checks a header whose checksum is right, and the lock: what
// contradicts itself is corrupt, what this version does not know is a later
// one's.
func checkFields(raw, body []byte) error {
	window, deadline := uint48(raw[offWindow:]), uint48(raw[offDeadline:])
	if deadline != uint48(raw[offAgain:]) || window > maxMillis || deadline != 0 && window == 0 && Kind(raw[offKind]) != Lease {
		return ErrCorrupt
	}
	if raw[offFlags]&^(flagOrder|flagStamps) != 0 {
		return ErrForeign
	}
	rest := raw[HeaderSize+len(body):]
	bare := window == 0 && len(body) == 0 && raw[offFlags] == 0
	ok := true
	switch Kind(raw[offKind]) {
	case Value:
		ok = checkExtras(raw[offFlags], body)
	case Lease:
		ok = bare && deadline <= Followed
	case Locked:
		ok = checkExtras(raw[offFlags], body) && checkLock(rest)
	case Hold:
		ok = bare && checkLock(rest) && lockOf(rest).After == 0
	case Mark:
		ok = bare && checkWriters(rest)
	default:
		return ErrForeign
	}
	if !ok {
		return ErrCorrupt
	}
	return nil
}

// checkExtras reports whether body begins with an order, and with stamps, if the
// flags say so.
func checkExtras(flags byte, body []byte) bool {
	if flags&flagOrder != 0 {
		if len(body) < OrderSize || binary.BigEndian.Uint64(body) == 0 {
			return false
		}
		body = body[OrderSize:]
	}
	return flags&flagStamps == 0 || stampsIn(body) > 0
}

// checkLock reports whether raw is a lock, both of its copies.
func checkLock(raw []byte) bool {
	return len(raw) == LockSize && bytes.Equal(raw[:lockCopy], raw[lockCopy:]) && uint48(raw[offUntil:]) != 0
}

// checkWriters reports whether raw is the writers of a mark, both copies.
func checkWriters(raw []byte) bool {
	half := len(raw) / 2
	if half == 0 || half%writerSize != 0 || !bytes.Equal(raw[:half], raw[half:]) {
		return false
	}
	for list := raw[:half]; len(list) > 0; list = list[writerSize:] {
		if uint48(list[offUntil:]) == 0 {
			return false
		}
	}
	return true
}

// unlocked is the kind that a locked value's checksum is computed with.
var unlocked = []byte{byte(Value)}

func checksum(head, body []byte) uint32 {
	if Kind(head[offKind]) != Locked {
		return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, body)
	}
	sum := crc32.Checksum(head[:offKind], castagnoli)
	sum = crc32.Update(sum, castagnoli, unlocked)
	sum = crc32.Update(sum, castagnoli, head[offKind+1:])
	return crc32.Update(sum, castagnoli, body)
}

func appendUint48(dst []byte, n uint64) []byte {
	return append(dst, byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func uint48(b []byte) uint64 {
	_ = b[5]
	return uint64(b[0])<<40 | uint64(b[1])<<32 | uint64(b[2])<<24 | uint64(b[3])<<16 | uint64(b[4])<<8 | uint64(b[5])
}

// ValueID returns the version in raw, the first HeaderSize bytes of what is under
// the key with this digest; ok is false if that is no value. It tells whether a
// value is one that was decoded before, and not whether it is intact.
func ValueID(raw []byte, digest uint64) (id ID, ok bool) {
	if len(raw) < HeaderSize || string(raw[:len(Magic)]) != Magic || binary.BigEndian.Uint64(raw[offDigest:]) != digest {
		return ID{}, false
	}
	kind := Kind(raw[offKind])
	return ID(raw[offVersion:]), kind == Value || kind == Locked
}
