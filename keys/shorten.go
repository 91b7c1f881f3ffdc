package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// MaxLength is the longest key in bytes; it is what a larder cache takes. A
// longer one is shortened.
const MaxLength = 1024

const (
	shortPrefix  = 64 // how much of a shortened key stays readable, in bytes
	digestLength = len(tagDigest) + 2*sha256.Size
)

// Shorten returns a key that was not built by this package, if it is longer
// than MaxLength, as its first bytes and the SHA-256 digest of it all. Distinct
// keys stay distinct: a key that looks like a shortened one is shortened too.
// So apply it once, and not to what With returned.
func Shorten(key string) string {
	if len(key) <= MaxLength && !looksShortened(key) {
		return key
	}
	return string(appendDigest([]byte(key), 0))
}

// looksShortened reports whether key ends as a shortened key does.
func looksShortened(key string) bool {
	return len(key) >= digestLength && strings.HasPrefix(key[len(key)-digestLength:], tagDigest)
}

// shorten shortens the key that begins at start if it is too long.
func shorten(dst []byte, start int) []byte {
	if len(dst)-start <= MaxLength {
		return dst
	}
	return appendDigest(dst, start)
}

func appendDigest(dst []byte, start int) []byte {
	digest := sha256.Sum256(dst[start:])
	cut := min(start+shortPrefix, len(dst))
	for back := 0; back < utf8.UTFMax && cut < len(dst) && cut > start && !utf8.RuneStart(dst[cut]); back++ {
		cut-- // not within a letter
	}
	dst = append(dst[:cut], tagDigest...)
	return hex.AppendEncode(dst, digest[:])
}
