package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/breaker"
	"github.com/redis/go-redis/v9"
)

// fault says what an error of go-redis means for the command that has it, the
// worse the greater.
type fault uint8

const (
	none     fault = iota // no error, or the server's answer to this very command
	refused               // answered, but this command cannot be executed now
	unusable              // answered: nothing can be executed now, not even a PING
	unsent                // certainly not sent
	timedOut              // no answer in time
	lost                  // the connection failed; it may have been sent
)

// errOpen is what an open breaker returns.
var errOpen = unavailable(breaker.ErrOpen)

// faultOf classifies err.
func faultOf(err error) fault {
	if err == nil || errors.Is(err, redis.Nil) {
		return none
	}
	var reply redis.Error
	if errors.As(err, &reply) {
		return faultOfReply(strings.TrimPrefix(reply.Error(), "ERR "))
	}
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial",
		errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted),
		errors.Is(err, redis.ErrClosed), errors.Is(err, breaker.ErrOpen):
		return unsent
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return lost
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return timedOut
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return timedOut
	}
	return lost
}

// faultOfReply classifies the text of a Redis error reply.
func faultOfReply(text string) fault {
	word, _, _ := strings.Cut(text, " ")
	switch word {
	case "LOADING", "MASTERDOWN", "NOAUTH", "WRONGPASS", "BUSY":
		return unusable
	case "READONLY", "CLUSTERDOWN", "MISCONF", "OOM", "NOPERM", "NOREPLICAS", "TRYAGAIN", "MOVED", "ASK":
		return refused
	}
	if strings.HasPrefix(text, "max number of clients") {
		return unusable
	}
	return none
}

// unavailable is the error of a command that was not executed, or of a read.
func unavailable(cause error) error { return fmt.Errorf("%w: %w", cache.ErrUnavailable, cause) }

// failure is the error of a command that got no answer to itself.
func failure(kind Kind, f fault, cause error) error {
	if kind == Write && (f == timedOut || f == lost) {
		return fmt.Errorf("%w: %w", cache.ErrOutcomeUnknown, cause)
	}
	return unavailable(cause)
}
