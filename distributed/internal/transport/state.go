package transport

import "github.com/larder-go/larder/internal/breaker"

// StateOf returns the state of the breaker of key's node, or State if the node
// is not known.
func (t *Transport) StateOf(key string) breaker.State {
	if n := t.routes.known(key); n != nil {
		return n.guard.State()
	}
	return t.State()
}
