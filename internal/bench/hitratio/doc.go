// Package hitratio plays traces of keys against caches and counts hits: on
// larder's own engine, its peers, and the best that is possible, which needs to
// know the future.
//
// Every cache is filled on demand: a key that is not found is stored. Those
// that work in the background are made to work in the foreground, or they hold
// more than their limit and the comparison is void.
package hitratio
