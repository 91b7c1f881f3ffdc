package distributed

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
)

// failed wraps err for the caller.
func failed(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return &cache.OpError{Op: op, Key: key, Err: err}
}

// serverError makes a reply by which the server refused a command into
// cache.ErrUnavailable: nothing was done, and why is for the operator to see.
// Other errors have their meaning already.
func serverError(err error) error {
	var reply redis.Error
	if err == nil || !errors.As(err, &reply) || errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrOutcomeUnknown) {
		return err
	}
	return fmt.Errorf("%w: %w", cache.ErrUnavailable, &replyError{reply})
}

// replyError is an error reply without the arguments that some replies quote.
type replyError struct{ reply redis.Error }

func (e *replyError) Error() string {
	text, _, _ := strings.Cut(e.reply.Error(), ", with args beginning with")
	return text
}

func (e *replyError) Unwrap() error { return e.reply }

func isWrongType(err error) bool { return isReply(err, "WRONGTYPE") }

// isReply reports whether err is an error reply that begins with prefix.
func isReply(err error, prefix string) bool {
	var reply redis.Error
	return errors.As(err, &reply) && strings.HasPrefix(reply.Error(), prefix)
}
