package distributed

import (
	"bytes"
	"crypto/rand"
	"strings"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/envelope"
)

// A region, and a key of one, has a generation: a key in Redis with an id that
// is never used twice, and the epoch it was made at. The epoch is one key, too:
// an incarnation and a counter that every ExpireTokens advances. The incarnation
// is the generation of everything: expiring the global token begins another.
//
// An entry carries the ids it was stored under (internal/envelope's stamps). It
// counts as long as they are the current ones; an absent one is not. So whatever
// Redis loses of this turns entries into misses and refuses fills.
//
// A fill names the epoch before its load began. It stores only under generations
// that were made by then, of the same incarnation. Three things have an order:
//
//   - ExpireTokens advances the epoch before it makes the new generations. If a
//     load began after that, it began after the source was written.
//   - A fill reads the generations before the epoch. If the epoch is still the
//     one that it names, so were they when they were read.
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

// parseEpoch returns what is under the epoch's key; ok is false if that is none.
func parseEpoch(raw []byte) (m cache.Moment, ok bool) {
	if len(raw) != len(m) {
		return cache.Moment{}, false
	}
	return cache.Moment(raw), true
}

// incarnation returns that of an epoch, as the generation of everything.
func incarnation(m cache.Moment) (id envelope.ID) {
	copy(id[:], m[:incarnationSize])
	return id
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
	return incarnation(m) == incarnation(since) && bytes.Compare(m[incarnationSize:], since[incarnationSize:]) <= 0
}

// everything is the name of the stamp that is the incarnation.
const everything = ""

// generationNames makes Redis keys from the names of stamps.
type generationNames struct{ epoch, region string }

func namesOfGenerations(prefix string) generationNames {
	return generationNames{
		epoch:  prefix + cache.ReservedPrefix + ":epoch",
		region: prefix + cache.ReservedPrefix + ":region:",
	}
}

// key returns the Redis key that a stamp of this name depends on.
func (n generationNames) key(stamp string) string {
	if stamp == everything {
		return n.epoch
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
var regionEscape = strings.NewReplacer("%", "%25", ":", "%3A")

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
	for _, n := range names {
		if n == name {
			return names
		}
	}
	return append(names, name)
}

// checkTokens returns cache.ErrInvalidToken if an entry cannot have these.
func checkTokens(tokens []cache.Token) error {
	if len(tokens) > cache.MaxTokens {
		return cache.ErrInvalidToken
	}
	for _, t := range tokens {
		if err := t.Check(); err != nil {
			return err
		}
	}
	return nil
}
