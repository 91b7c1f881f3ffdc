package observe

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/larder-go/larder/cache"
)

// OtherError is the type of an error that ErrorType does not know, spelled as
// OpenTelemetry's error.type wants it.
const OtherError = "_OTHER"

type named struct {
	err  error
	name string
}

// types are looked through in this order: an error that matches two has the
// type of the earlier one, so what says why stands before what says where.
var types = [...]named{
	{cache.ErrLoaderPanic, "loader_panic"},
	{cache.ErrLoaderGoexit, "loader_goexit"},
	{cache.ErrLoadTimeout, "load_timeout"},
	{cache.ErrRecursiveLoad, "recursive_load"},
	{cache.ErrInvalidated, "invalidated"},
	{cache.ErrAbandoned, "abandoned"},
	{cache.ErrRegionExpired, "region_expired"},
	{cache.ErrBeingWritten, "being_written"},
	{cache.ErrWriteOverlapped, "write_overlapped"},
	{cache.ErrTooManyWriters, "too_many_writers"},
	{cache.ErrLeaseLost, "lease_lost"},
	{cache.ErrOutdated, "outdated"},
	{cache.ErrVersionMismatch, "version_mismatch"},
	{cache.ErrLocked, "locked"},
	{cache.ErrNotLocked, "not_locked"},
	{cache.ErrNotFound, "not_found"},
	{cache.ErrValueTooLarge, "value_too_large"},
	{cache.ErrUnencodable, "unencodable"},
	{cache.ErrUndecodable, "undecodable"},
	{cache.ErrTypeMismatch, "type_mismatch"},
	{cache.ErrWrongType, "wrong_type"},
	{cache.ErrOverflow, "overflow"},
	{cache.ErrNilValue, "nil_value"},
	{cache.ErrInvalidTTL, "invalid_ttl"},
	{cache.ErrInvalidToken, "invalid_token"},
	{cache.ErrInvalidConfig, "invalid_config"},
	{cache.ErrClosed, "closed"},
	{cache.ErrOutcomeUnknown, "outcome_unknown"},
	{cache.ErrUnavailable, "unavailable"},
	{context.DeadlineExceeded, "deadline_exceeded"},
	{context.Canceled, "canceled"},
}

// ErrorType returns the name of the sentinel that err matches, as in
// "lease_lost" for cache.ErrLeaseLost, OtherError if it matches none, and "" for
// nil. It never returns text of the error: a set of few names is fit for the
// attribute of a metric, and a foreign error's text may hold a key.
func ErrorType(err error) string {
	if err == nil {
		return ""
	}
	for _, t := range types {
		if errors.Is(err, t.err) {
			return t.name
		}
	}
	return OtherError
}

// cause returns what kept a server from answering, in a word, as far as the
// standard library knows, and "" for everything else.
func cause(err error) string {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return "name not resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection lost"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return ""
}
