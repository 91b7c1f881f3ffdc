package cachetest

import (
	"testing"

	"github.com/larder-go/larder/cache"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newModel(testing.TB) cache.Cache { return NewModel(cache.EntryOptions{}) }

func TestModelKeepsTheContract(t *testing.T) {
	Run(t, Config{New: newModel})
}
