// Package msgscan looks at MessagePack before a decoder does. The decoder
// (vmihailenco/msgpack) believes what it reads: a header of five bytes makes it
// allocate gigabytes, and deep nesting overflows the stack, which ends the
// process. It also ignores trailing bytes, cuts integers that do not fit, and
// takes nil for anything.
//
// [Scan] checks the structure of any encoding. A [Shape] knows the Go type and
// accepts only what the encoder writes for it; it also checks values before they
// are encoded. This package decodes nothing.
package msgscan

import (
	"encoding/binary"
	"errors"
)

// MaxDepth is how deep arrays, maps and structs may be nested.
const MaxDepth = 64

// What may be wrong with an encoding. The texts tell nothing of its content.
var (
	ErrTruncated = errors.New("ends early, or declares more than it holds")
	ErrTrailing  = errors.New("has bytes after its end")
	ErrDeep      = errors.New("is nested too deep")
	ErrCode      = errors.New("has a byte that begins no value")
	ErrTime      = errors.New("has an impossible time")
	ErrKey       = errors.New("has a map key that is no string")
	ErrShape     = errors.New("is of another shape than the type")
	ErrRange     = errors.New("has an integer that the type cannot hold")
	ErrSparse    = errors.New("would decode to far more memory than it takes itself")
)

// Scan returns nil if data is exactly one MessagePack value, nested at most
// MaxDepth deep, in which every declared length fits the bytes that follow, map
// keys are strings and times are possible; and if decoding it into an any takes
// at most 64 times its length and 1 MiB. It allocates nothing, and its time is
// proportional to the bytes it accepts.
func Scan(data []byte) error {
	return scan(data, func(s *scanner) error { return s.value(0) })
}

// scanner reads MessagePack. memory estimates what the decoder will allocate.
type scanner struct {
	data   []byte
	pos    int
	memory uint64
	limit  uint64
}

func scan(data []byte, value func(*scanner) error) error {
	s := scanner{data: data, limit: memoryLimit(len(data))}
	if err := value(&s); err != nil {
		return err
	}
	if s.pos != len(data) {
		return ErrTrailing
	}
	return nil
}

const (
	// amplification bounds what is decoded by what is stored.
	amplification = 64
	slack         = 1 << 20
)

func memoryLimit(n int) uint64 { return amplification*uint64(n) + slack }

// charge accounts for n things of size bytes each.
func (s *scanner) charge(n, size int) error {
	s.memory += uint64(n) * uint64(size)
	if s.memory > s.limit {
		return ErrSparse
	}
	return nil
}

// header is the first part of a value: what it is and how long.
type header struct {
	kind kind
	n    int    // length of a str, bin or ext, elements of an array, pairs of a map
	bits uint64 // an integer's value, sign-extended
}

type kind uint8

const (
	isNil kind = iota
	isBool
	isInt  // bits is an int64
	isUint // bits is a uint64 above MaxInt64 or written as unsigned
	isFloat32
	isFloat64
	isStr
	isBin
	isArray
	isMap
	isExt
)

// take returns the next n bytes.
func (s *scanner) take(n int) ([]byte, error) {
	if n > len(s.data)-s.pos {
		return nil, ErrTruncated
	}
	b := s.data[s.pos : s.pos+n]
	s.pos += n
	return b, nil
}

// uint reads a big-endian unsigned integer of size bytes.
func (s *scanner) uint(size int) (uint64, error) {
	b, err := s.take(size)
	if err != nil {
		return 0, err
	}
	switch size {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), nil
	case 4:
		return uint64(binary.BigEndian.Uint32(b)), nil
	}
	return binary.BigEndian.Uint64(b), nil
}

// peekNil reports whether the next value is nil, and if so skips it.
func (s *scanner) peekNil() bool {
	if s.pos < len(s.data) && s.data[s.pos] == 0xc0 {
		s.pos++
		return true
	}
	return false
}

// header reads the next value's header, and the whole value if it is a number,
// bool or nil. A length it returns fits the bytes that are left.
func (s *scanner) header() (header, error) {
	code, err := s.uint(1)
	if err != nil {
		return header{}, err
	}
	switch {
	case code <= 0x7f:
		return header{kind: isInt, bits: code}, nil
	case code <= 0x8f:
		return s.sized(isMap, int(code&0x0f))
	case code <= 0x9f:
		return s.sized(isArray, int(code&0x0f))
	case code <= 0xbf:
		return s.sized(isStr, int(code&0x1f))
	case code >= 0xe0:
		return header{kind: isInt, bits: uint64(int64(int8(code)))}, nil
	}
	switch code {
	case 0xc0:
		return header{kind: isNil}, nil
	case 0xc2, 0xc3:
		return header{kind: isBool}, nil
	case 0xc4, 0xc5, 0xc6:
		return s.long(isBin, 1<<(code-0xc4))
	case 0xc7, 0xc8, 0xc9:
		return s.long(isExt, 1<<(code-0xc7))
	case 0xca:
		_, err := s.take(4)
		return header{kind: isFloat32}, err
	case 0xcb:
		_, err := s.take(8)
		return header{kind: isFloat64}, err
	case 0xcc, 0xcd, 0xce, 0xcf:
		u, err := s.uint(1 << (code - 0xcc))
		return header{kind: isUint, bits: u}, err
	case 0xd0, 0xd1, 0xd2, 0xd3:
		size := 1 << (code - 0xd0)
		u, err := s.uint(size)
		shift := 64 - 8*size
		return header{kind: isInt, bits: uint64(int64(u<<shift) >> shift)}, err
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return s.sized(isExt, 1<<(code-0xd4))
	case 0xd9, 0xda, 0xdb:
		return s.long(isStr, 1<<(code-0xd9))
	case 0xdc, 0xdd:
		return s.long(isArray, 2<<(code-0xdc))
	case 0xde, 0xdf:
		return s.long(isMap, 2<<(code-0xde))
	}
	return header{}, ErrCode
}

func (s *scanner) long(k kind, size int) (header, error) {
	n, err := s.uint(size)
	if err != nil {
		return header{}, err
	}
	return s.sized(k, int(n))
}

// sized checks that what n announces can be there: an element takes a byte at
// least, a pair two, an ext one for its type.
func (s *scanner) sized(k kind, n int) (header, error) {
	need := n
	switch k {
	case isMap:
		need = 2 * n
	case isExt:
		need = n + 1
	}
	if need > len(s.data)-s.pos {
		return header{}, ErrTruncated
	}
	return header{kind: k, n: n}, nil
}

// What the decoder allocates where the type is any: an interface per element
// and its value; twice a string and an interface per pair, and the value.
const (
	anySize  = 32
	pairSize = 80
)

// value reads one value of any kind, at the given depth.
func (s *scanner) value(depth int) error {
	h, err := s.header()
	if err != nil {
		return err
	}
	return s.body(h, depth)
}

// body reads what follows h.
func (s *scanner) body(h header, depth int) error {
	switch h.kind {
	case isStr, isBin:
		_, err := s.take(h.n)
		return err
	case isExt:
		return s.ext(h.n)
	case isArray:
		return s.array(h.n, depth+1)
	case isMap:
		return s.pairs(h.n, depth+1)
	}
	return nil
}

func (s *scanner) array(n, depth int) error {
	if depth > MaxDepth {
		return ErrDeep
	}
	if err := s.charge(n, anySize); err != nil {
		return err
	}
	for range n {
		if err := s.value(depth); err != nil {
			return err
		}
	}
	return nil
}

// pairs reads a map. Its keys must be strings: the decoder knows no other maps
// where the type is any, and panics over some.
func (s *scanner) pairs(n, depth int) error {
	if depth > MaxDepth {
		return ErrDeep
	}
	if err := s.charge(n, pairSize); err != nil {
		return err
	}
	for range n {
		if err := s.str(); err != nil {
			return err
		}
		if err := s.value(depth); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) str() error {
	h, err := s.header()
	if err != nil {
		return err
	}
	if h.kind != isStr {
		return ErrKey
	}
	_, err = s.take(h.n)
	return err
}

// timeType is the ext type of a time.
const timeType = 0xff

func (s *scanner) ext(n int) error {
	typ, err := s.uint(1)
	if err != nil {
		return err
	}
	b, err := s.take(n)
	if err != nil {
		return err
	}
	if typ == timeType {
		return checkTime(b)
	}
	return nil
}

// checkTime accepts the three forms of a time that the format has.
func checkTime(b []byte) error {
	var nsec uint64
	switch len(b) {
	case 4:
	case 8:
		nsec = binary.BigEndian.Uint64(b) >> 34
	case 12:
		nsec = uint64(binary.BigEndian.Uint32(b))
	default:
		return ErrTime
	}
	if nsec >= 1e9 {
		return ErrTime
	}
	return nil
}
