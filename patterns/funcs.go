package patterns

import (
	"context"
	"errors"
)

// Funcs is a Repository made of functions. One that is nil is
// errors.ErrUnsupported.
type Funcs[K comparable, V any] struct {
	FindFunc   func(ctx context.Context, id K) (V, error)
	SaveFunc   func(ctx context.Context, id K, v V) error
	DeleteFunc func(ctx context.Context, id K) error
}

var _ Repository[int, int] = Funcs[int, int]{}

// Find calls FindFunc.
func (f Funcs[K, V]) Find(ctx context.Context, id K) (V, error) {
	if f.FindFunc == nil {
		var zero V
		return zero, errNoFunc
	}
	return f.FindFunc(ctx, id)
}

// Save calls SaveFunc.
func (f Funcs[K, V]) Save(ctx context.Context, id K, v V) error {
	if f.SaveFunc == nil {
		return errNoFunc
	}
	return f.SaveFunc(ctx, id, v)
}

// Delete calls DeleteFunc.
func (f Funcs[K, V]) Delete(ctx context.Context, id K) error {
	if f.DeleteFunc == nil {
		return errNoFunc
	}
	return f.DeleteFunc(ctx, id)
}

var errNoFunc = errors.Join(errors.New("larder: the repository has no such function"), errors.ErrUnsupported)
