package keys

const (
	separator = '-'

	tagNil    = "%n" // nil
	tagEmpty  = "%e" // an empty text
	tagNone   = "%0" // no parts at all
	tagDigest = "%#" // a digest follows
)

// reservedPrefix begins the keys that larder keeps for itself.
const reservedPrefix = "__larder__"

const hexDigits = "0123456789ABCDEF"

// special marks the bytes that a text cannot hold as they are: the separator,
// the escape, what lists and records are written with, the braces of Redis
// Cluster's hash tags, and control characters.
var special = func() (table [256]bool) {
	for c := range 0x20 {
		table[c] = true
	}
	for _, c := range []byte("-%[]|={}\x7f") {
		table[c] = true
	}
	return table
}()

// appendText appends text, escaped.
func appendText[T string | []byte](dst []byte, text T) []byte {
	if len(text) == 0 {
		return append(dst, tagEmpty...)
	}
	plain := 0 // what stands before it is written
	for i := range len(text) {
		if c := text[i]; special[c] {
			dst = append(dst, text[plain:i]...)
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
			plain = i + 1
		}
	}
	return append(dst, text[plain:]...)
}

// escapeReserved escapes the first byte of a key that would begin with the
// reserved prefix.
func escapeReserved(dst []byte, start int) []byte {
	if len(dst)-start < len(reservedPrefix) || dst[start] != reservedPrefix[0] ||
		string(dst[start:start+len(reservedPrefix)]) != reservedPrefix {
		return dst
	}
	dst = append(dst, 0, 0)
	copy(dst[start+3:], dst[start+1:])
	copy(dst[start:], "%5F")
	return dst
}
