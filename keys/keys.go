// Package keys builds cache keys that never collide: lists of parts that differ
// give keys that differ, whatever the parts contain.
//
//	keys.With("Product", "ByID", 42) // Product-ByID-42
//
// # Parts
//
// A part is its text. A plain part is nil, a string, a bool, an integer, a
// float, a time.Time, bytes, an array of bytes, any type made from one of these
// (a type ProductID int64, a uuid.UUID), a pointer to one of these, or a [Part].
// Entities, value objects, lists, structs and maps become a Part by [Value],
// query parameters by [Query].
//
// Parts with the same text are the same part, so that the id 42 finds the same
// entry as the id "42" that came in a URL. Two unequal values of one type never
// have the same text:
//
//   - floats are written in their shortest exact form; -0 is 0, as == has it,
//     and every NaN is NaN
//   - times are written in UTC with their nanoseconds: one instant is one part
//   - 16 bytes are written as a UUID, other arrays of bytes in hexadecimal,
//     slices of bytes as the text they hold
//   - nil is no text and no other part; an empty text is a part of its own
//
// fmt.Stringer is not used: a display text need not tell values apart.
//
// # Form
//
// Parts are joined by "-". Inside a part the bytes - % [ ] | = { }, control
// characters, and the beginning of larder's reserved prefix are written as %
// and two hexadecimal digits; so ("a-b", "c") and ("a", "b-c") are two keys, a
// key never begins with __larder__, and braces never choose a slot of a Redis
// Cluster. nil is %n, an empty text %e, a list of no parts %0, so no key is
// empty. Everything else stays as it is, byte for byte: case, spaces, and
// letters in composed or decomposed form make a difference. See [Fold].
//
// A key over [MaxLength] is cut, and %# and the SHA-256 digest of the whole key
// follow. No text can contain %#, so no other key equals a shortened one.
//
// Keys are stable: the same parts make the same key in every process and build.
package keys

// Keyer is an entity or value object that knows what tells it apart, such as
// its id. [Value] makes it a part.
type Keyer interface {
	// CacheKey returns a text that no unequal value of the type returns. It is
	// escaped as any text is.
	CacheKey() string
}

// Part is a part made beforehand, by [Value] or [Query]. The zero Part is nil.
// It may be kept and shared.
type Part struct{ encoded string }

// With returns the key of parts.
//
// It allocates once, for the key, as long as that has at most 192 bytes. For
// that, With must not call methods of its parts: it takes plain parts only and
// panics with an [*UnsupportedError] for any other. See [TryWith] for parts
// whose types are not known, and [Value].
func With(parts ...any) string {
	var buf [stackLength]byte
	key, err := appendKey(buf[:0], parts)
	if err != nil {
		panic(err)
	}
	return string(key)
}

// TryWith is With, with an [*UnsupportedError] for a part that is not plain.
func TryWith(parts ...any) (string, error) {
	var buf [stackLength]byte
	key, err := appendKey(buf[:0], parts)
	if err != nil {
		return "", err
	}
	return string(key), nil
}

// Append appends the key that With returns to dst. It allocates only to grow
// dst. Note that what dst holds already is the caller's: it is neither escaped
// nor counted.
func Append(dst []byte, parts ...any) []byte {
	dst, err := appendKey(dst, parts)
	if err != nil {
		panic(err)
	}
	return dst
}

// Builder builds keys that begin with the same parts, which it wrote
// beforehand. The zero Builder begins with none. It may be shared.
type Builder struct {
	prefix string
	bound  bool // prefix holds at least one part
}

// Bind returns the builder of keys that begin with parts. It panics as With
// does.
func Bind(parts ...any) Builder {
	if len(parts) == 0 {
		return Builder{}
	}
	prefix, err := appendParts(nil, false, parts)
	if err != nil {
		panic(err)
	}
	return Builder{prefix: string(prefix), bound: true}
}

// With returns the key of the builder's parts and these, as With does.
func (b Builder) With(parts ...any) string {
	var buf [stackLength]byte
	key, err := appendParts(append(buf[:0], b.prefix...), b.bound, parts)
	if err != nil {
		panic(err)
	}
	return string(finish(key, 0))
}

// Append appends the key that b.With returns to dst, as Append does.
func (b Builder) Append(dst []byte, parts ...any) []byte {
	start := len(dst)
	dst, err := appendParts(append(dst, b.prefix...), b.bound, parts)
	if err != nil {
		panic(err)
	}
	return finish(dst, start)
}

// stackLength is how long a key With builds without a second allocation.
const stackLength = 192

// appendKey appends the key of parts to dst.
func appendKey(dst []byte, parts []any) ([]byte, error) {
	start := len(dst)
	dst, err := appendParts(dst, false, parts)
	if err != nil {
		return nil, err
	}
	return finish(dst, start), nil
}

// appendParts appends the texts of parts to dst, separated; if bound, other
// parts stand before them.
func appendParts(dst []byte, bound bool, parts []any) ([]byte, error) {
	for i, part := range parts {
		first := i == 0 && !bound
		if !first {
			dst = append(dst, separator)
		}
		start := len(dst)
		var err *UnsupportedError
		if dst, err = appendPlain(dst, part); err != nil {
			return nil, err
		}
		if first {
			dst = escapeReserved(dst, start)
		}
	}
	return dst, nil
}

// finish ends the key that begins at start.
func finish(dst []byte, start int) []byte {
	if len(dst) == start {
		return append(dst, tagNone...)
	}
	return shorten(dst, start)
}
