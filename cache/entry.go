package cache

import "slices"

// Entry is the loader's handle on the entry that its result becomes. It
// belongs to the loader until the loader returns.
type Entry struct {
	// EntryOptions of the entry. Zero fields come from TypedOptions.Defaults,
	// then from the backend. Lease is ignored.
	EntryOptions

	// Freshness of the entry. Zero fields come from TypedOptions, negative ones
	// are off.
	Freshness

	// NoStore gives the result to the callers and does not store it. A value that
	// the load was to refresh is removed.
	NoStore bool

	// ETag is kept with the value, as PreviousETag of the load that refreshes it.
	// If that returns ErrNotModified and leaves ETag empty, the value keeps its
	// own. It is of no use to an entry that does not age.
	ETag string

	previous     any // *V: the value that is to be refreshed
	previousETag string

	tell func(tokens []Token) // the flights that the entry is for
	at   func(i int) *Entry   // GetOrCreateMany: see At
}

// AddToken makes the entry depend on tokens, beside those of EntryOptions and
// TypedOptions.Defaults; a negative entry too. They may be named at any time: if one of them has
// expired since the load began, the result is not stored, and not given to
// callers that came later. The sooner they are named the sooner such a load is
// cancelled.
//
// An invalid token, or more than MaxTokens, is an ErrInvalidToken to the callers
// when the result is stored; tokens on a cache without Regions are
// errors.ErrUnsupported.
func (e *Entry) AddToken(tokens ...Token) {
	e.Tokens = joinTokens(slices.Clip(e.Tokens), slices.Clone(tokens))
	if e.tell != nil {
		e.tell(e.Tokens)
	}
}

// At returns the entry of the i-th of the ids that GetOrCreateMany's loader was
// given. What it leaves zero comes from e; tokens and NoStore of either count. It
// panics if there is no such id; a load of one key has only At(0), which is e.
func (e *Entry) At(i int) *Entry {
	if e.at != nil {
		return e.at(i)
	}
	return [...]*Entry{e}[i]
}
