package conformance

import (
	"testing"

	"github.com/larder-go/larder/cache/cachetest"
)

// onMemory is a memory cache, whose reads restart a sliding window only if that
// moves it by a sixteenth.
func onMemory() cachetest.Config {
	return cachetest.Config{New: newMemory(nil), CoarseSliding: true}
}

func TestModelMemory(t *testing.T) { cachetest.Check(t, onMemory()) }

func TestModelMemoryPrefixed(t *testing.T) { cachetest.Check(t, behindPrefix(onMemory())) }

func TestModelMiniredis(t *testing.T) {
	cachetest.Check(t, onMiniredis())
}

func TestModelMiniredisWatched(t *testing.T) {
	cachetest.Check(t, behindWatcher(onMiniredis()))
}
