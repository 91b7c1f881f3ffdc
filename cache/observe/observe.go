// Package observe has observers that any program can use: [Log] writes what
// needs a person's attention to a log, [All] tells several observers, and
// [ErrorType] names an error without its text. It imports nothing but the
// standard library and package cache, and starts no goroutine.
//
// For metrics and traces see the module cache/otelcache.
package observe

import (
	"context"
	"slices"

	"github.com/larder-go/larder/cache"
)

// All returns an observer that tells each of observers, in their order; nil ones
// are left out. With none left it is nil, which costs nothing, and with one it
// is that one. A panic of one observer is not caught, as with any observer.
func All(observers ...cache.Observer) cache.Observer {
	told := slices.DeleteFunc(slices.Clone(observers), func(o cache.Observer) bool { return o == nil })
	switch len(told) {
	case 0:
		return nil
	case 1:
		return told[0]
	}
	return all(told)
}

type all []cache.Observer

func (a all) Observe(ctx context.Context, e cache.Event) {
	for _, o := range a {
		o.Observe(ctx, e)
	}
}
