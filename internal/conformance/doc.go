// Package conformance runs the contract's suite, package cache/cachetest, on
// larder's own backends: bare, behind a decorator that watches, and behind one
// that changes keys. It has tests only.
package conformance
