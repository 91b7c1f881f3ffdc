// Package patterns wraps the repository a service already has: cache-aside,
// read-through, write-through and write-behind, each with the repository's own
// interface, so that wrappers compose around any store.
package patterns

import "context"

// Repository finds, saves and deletes values of type V by their ids of type K.
// It is what a service has over its store, and what every wrapper of this
// package is.
//
// Methods are safe for concurrent use and return the context's error when it has
// ended.
type Repository[K comparable, V any] interface {
	// Find returns the value of id, or cache.ErrNotFound if the source has none.
	Find(ctx context.Context, id K) (V, error)

	// Save stores v under id, whether or not there was one.
	Save(ctx context.Context, id K, v V) error

	// Delete deletes the value of id; a missing one is no error.
	Delete(ctx context.Context, id K) error
}

// ManyFinder is the capability of a Repository that finds many values in one
// call.
type ManyFinder[K comparable, V any] interface {
	// FindMany returns the values of ids that the source has; the others are
	// absent from the map.
	FindMany(ctx context.Context, ids []K) (map[K]V, error)
}

// ManySaver is the capability of a Repository that saves many values in one
// call, all or none.
type ManySaver[K comparable, V any] interface {
	SaveMany(ctx context.Context, values map[K]V) error
}

// Transactor is the capability of a Repository whose source has transactions.
type Transactor interface {
	// Transact runs do and commits what it wrote through the context it was
	// given; if do returns an error or panics, nothing of it stays. An error of
	// the commit itself that leaves open whether it happened is
	// cache.ErrOutcomeUnknown.
	Transact(ctx context.Context, do func(ctx context.Context) error) error
}
