package hitratio

import (
	"strconv"

	"github.com/Yiling-J/theine-go"
	"github.com/dgraph-io/ristretto/v2"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/maypok86/otter/v2"
)

// Contenders returns the caches that are compared.
func Contenders() []Contender {
	return []Contender{
		{"larder", openEngine}, {"otter", openOtter}, {"theine", openTheine},
		{"ristretto", openRistretto}, {"golang-lru", openLRU},
	}
}

// calls make a Cache of the calls of one.
type calls struct {
	get func(key uint32) bool
	set func(key uint32)
	end func()
}

func (c calls) access(key uint32) bool {
	if c.get(key) {
		return true
	}
	c.set(key)
	return false
}

func (c calls) close() { c.end() }

func nothing() {}

func text(key uint32) string { return strconv.Itoa(int(key)) }

// openOtter has otter do its maintenance before each call returns.
func openOtter(size int) Cache {
	c := otter.Must(&otter.Options[uint32, struct{}]{
		MaximumSize: size, Executor: func(work func()) { work() },
	})
	return calls{
		get: func(key uint32) bool { _, ok := c.GetIfPresent(key); return ok },
		set: func(key uint32) { c.Set(key, struct{}{}) },
		end: nothing,
	}
}

// openTheine waits for theine's goroutine after each set.
func openTheine(size int) Cache {
	c, err := theine.NewBuilder[uint32, struct{}](int64(size)).Build()
	if err != nil {
		panic(err)
	}
	return calls{
		get: func(key uint32) bool { _, ok := c.Get(key); return ok },
		set: func(key uint32) { c.Set(key, struct{}{}, 1); c.Wait() },
		end: c.Close,
	}
}

// openRistretto waits for ristretto's goroutine after each set. It drops reads
// by chance, so its figures vary a little.
func openRistretto(size int) Cache {
	c, err := ristretto.NewCache(&ristretto.Config[uint32, struct{}]{
		NumCounters: int64(10 * size), MaxCost: int64(size), BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		panic(err)
	}
	return calls{
		get: func(key uint32) bool { _, ok := c.Get(key); return ok },
		set: func(key uint32) { c.Set(key, struct{}{}, 1); c.Wait() },
		end: c.Close,
	}
}

func openLRU(size int) Cache {
	c, err := lru.New[uint32, struct{}](size)
	if err != nil {
		panic(err)
	}
	return calls{
		get: func(key uint32) bool { _, ok := c.Get(key); return ok },
		set: func(key uint32) { c.Add(key, struct{}{}) },
		end: nothing,
	}
}
