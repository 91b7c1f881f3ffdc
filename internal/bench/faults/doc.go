// Package faults shows what larder and its peers do when things go wrong: when
// Redis freezes, when very many callers miss one key at once, and when a key is
// removed while it is being loaded.
//
// Peers have their libraries' defaults and are used as their documentation
// says. Nothing here is about speed.
package faults
