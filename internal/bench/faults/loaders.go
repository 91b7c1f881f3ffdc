package faults

import (
	"context"
	"errors"
	"time"
)

const (
	capacity = 10_000
	ttl      = time.Hour
)

// load is the source: what every cache here calls on a miss.
type load func(ctx context.Context, key string) (string, error)

// loader is a cache that loads, bound to one source.
type loader struct {
	name   string
	get    func(ctx context.Context, key string) (string, error)
	remove func(ctx context.Context, key string) error
	close  func() error
}

// opener makes a loader. addr is that of a Redis, empty if there is none.
type opener struct {
	needsRedis bool
	open       func(addr string, source load) (*loader, error)
}

func openers() []opener {
	return []opener{
		{false, openLarderMemory}, {true, openLarderRedis}, {false, openOtter}, {false, openTheine},
		{false, openSturdyc}, {false, openTTLCache}, {true, openGoRedisCache},
	}
}

// each opens the loaders one after the other.
func each(addr string, source func() load, use func(*loader) error) error {
	for _, o := range openers() {
		if o.needsRedis && addr == "" {
			continue
		}
		l, err := o.open(addr, source())
		if err != nil {
			return err
		}
		if err := errors.Join(use(l), l.close()); err != nil {
			return err
		}
	}
	return nil
}
