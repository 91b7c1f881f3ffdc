package distributed

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/envelope"
)

// A region, a key of one, and everything has a generation: a key in Redis with an
// id that is never used twice, and the epoch it was made at. The epoch is one key,
// too: an incarnation, how many tokens have expired in it, and which the last of
// them were. Every ExpireTokens advances it.
//
// An entry carries the ids it was stored under (internal/envelope's stamps). It
// counts as long as they are the current ones; an absent one is not. A fill names
// the epoch before its load began. It is stored only if none of its tokens is
// among those that have expired since, or, if nobody remembers so many, if its
// generations were made by then. So whatever Redis loses of this turns entries
// into misses and refuses fills. Three things have an order:
//
//   - ExpireTokens advances the epoch before it makes the new generations. If a
//     load began after that, it began after the source was written.
//   - A fill reads the generations before the epoch. What had not expired by that
//     epoch had not when its generation was read.
//   - A generation that is made because there is none has no epoch until one is
//     read after it: whoever reads it first may have missed an ExpireTokens whose
//     generation is lost.
type generation struct {
	id   envelope.ID
	made cache.Moment // an epoch; zero: not known yet
}

const (
	incarnationSize = 8
	generationSize  = 32
	digestSize      = 8

	// maxRecent is how many expired tokens the epoch names. It is known to
	// outdate.lua.
	maxRecent = 128
)

// parseGeneration returns what is under a generation's key; ok is false if that
// is none.
func parseGeneration(raw []byte) (g generation, ok bool) {
	if len(raw) != generationSize {
		return generation{}, false
	}
	return generation{id: envelope.ID(raw), made: cache.Moment(raw[len(g.id):])}, true
}

func (g generation) bytes() []byte { return append(g.id[:], g.made[:]...) }

// history is the epoch: where it is, and the digests of the names of the last
// tokens that expired, the last one last.
type history struct {
	at     cache.Moment
	recent []byte
}

// parseHistory returns what is under the epoch's key; ok is false if that is
// none.
func parseHistory(raw []byte) (h history, ok bool) {
	if len(raw) < len(h.at) || (len(raw)-len(h.at))%digestSize != 0 {
		return history{}, false
	}
	return history{at: cache.Moment(raw), recent: raw[len(h.at):]}, true
}

// since returns the digests of what expired since then; known is false if they
// are not all there, ok if it cannot be told at all, because then was in another
// incarnation.
func (h history) since(then cache.Moment) (recent []byte, known, ok bool) {
	now, before := counter(h.at), counter(then)
	if incarnation(h.at) != incarnation(then) || before > now {
		return nil, false, false
	}
	if n := now - before; n <= uint64(len(h.recent)/digestSize) {
		return h.recent[len(h.recent)-int(n)*digestSize:], true, true
	}
	return nil, false, true
}

func incarnation(m cache.Moment) [incarnationSize]byte { return [incarnationSize]byte(m[:]) }

func counter(m cache.Moment) uint64 { return binary.BigEndian.Uint64(m[incarnationSize:]) }

// appendDigest appends what the epoch knows the token of this name by.
func appendDigest(b []byte, name string) []byte {
	return binary.BigEndian.AppendUint64(b, envelope.Digest(name))
}

// names reports whether one of digests is that of name.
func names(digests []byte, name string) bool {
	var buffer [digestSize]byte
	digest := appendDigest(buffer[:0], name)
	for ; len(digests) > 0; digests = digests[digestSize:] {
		if bytes.Equal(digests[:digestSize], digest) {
			return true
		}
	}
	return false
}

// newIncarnation returns one that no other epoch has.
func newIncarnation() []byte {
	b := make([]byte, incarnationSize)
	_, _ = rand.Read(b) // never fails
	return b
}

// notAfter reports whether m is an epoch of the same incarnation as since, and
// not a later one.
func notAfter(m, since cache.Moment) bool {
	return incarnation(m) == incarnation(since) && counter(m) <= counter(since)
}

// everything is the name of the stamp of the global token.
const everything = ""

// generationNames makes Redis keys from the names of stamps.
type generationNames struct{ epoch, global, region string }

func namesOfGenerations(prefix string) generationNames {
	return generationNames{
		epoch:  prefix + cache.ReservedPrefix + ":epoch",
		global: prefix + cache.ReservedPrefix + ":global",
		region: prefix + cache.ReservedPrefix + ":region:",
	}
}

// key returns the Redis key that a stamp of this name depends on.
func (n generationNames) key(stamp string) string {
	if stamp == everything {
		return n.global
	}
	return n.region + stamp
}

func (n generationNames) keys(stamps []string) []string {
	keys := make([]string, len(stamps))
	for i, s := range stamps {
		keys[i] = n.key(s)
	}
	return keys
}

// regionEscape keeps a region's name apart from the key that may follow it.
var (
	regionEscape   = strings.NewReplacer("%", "%25", ":", "%3A")
	regionUnescape = strings.NewReplacer("%25", "%", "%3A", ":")
)

// stampName returns the name of the token's own stamp. Distinct tokens have
// distinct ones: the first colon ends the region.
func stampName(t cache.Token) string {
	region, ok := t.Region()
	if !ok {
		return everything
	}
	name := regionEscape.Replace(region)
	if key, ok := t.Key(); ok {
		name += ":" + key
	}
	return name
}

// tokenOf returns the token whose own stamp has this name.
func tokenOf(stamp string) cache.Token {
	if stamp == everything {
		return cache.GlobalToken()
	}
	region, key, ok := strings.Cut(stamp, ":")
	if region = regionUnescape.Replace(region); ok {
		return cache.KeyToken(region, key)
	}
	return cache.RegionToken(region)
}

// tokens returns those that the entry was stored with, but for those that others
// of them belong to.
func (e entry) tokens() (tokens []cache.Token) {
	for name := range e.stamps.All() {
		t := tokenOf(string(name))
		if parent, ok := t.Parent(); ok {
			tokens = slices.DeleteFunc(tokens, func(other cache.Token) bool { return other == parent })
		}
		tokens = append(tokens, t)
	}
	return tokens
}

// stampNames returns what an entry with these tokens depends on, each once:
// everything, and of each token the region and the key.
func stampNames(tokens []cache.Token) []string {
	names := append(make([]string, 0, 1+2*len(tokens)), everything)
	for _, t := range tokens {
		if region, ok := t.Region(); ok {
			names = appendNew(names, stampName(cache.RegionToken(region)))
			names = appendNew(names, stampName(t))
		}
	}
	return names
}

func appendNew(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}
