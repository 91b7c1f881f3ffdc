package conformance

import (
	"testing"

	"github.com/larder-go/larder/cache/cachetest"
)

func TestModelMemory(t *testing.T) {
	cachetest.Check(t, cachetest.Config{New: newMemory(nil)})
}

func TestModelMemoryPrefixed(t *testing.T) {
	cachetest.Check(t, behindPrefix(cachetest.Config{New: newMemory(nil)}))
}

func TestModelMiniredis(t *testing.T) {
	cachetest.Check(t, onMiniredis())
}

func TestModelMiniredisWatched(t *testing.T) {
	cachetest.Check(t, behindWatcher(onMiniredis()))
}
