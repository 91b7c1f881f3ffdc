package queue

import (
	"strings"
	"time"

	"github.com/larder-go/larder/cache"
)

// Check returns the error that refuses w, if its key or mode is invalid. It is
// for queues.
func (w Write) Check() error {
	if err := cache.CheckKey(w.Key); err != nil {
		return &cache.OpError{Op: "enqueue", Key: w.Key, Err: err}
	}
	if w.Mode > Merge {
		return invalid("Write.Mode", uint8(w.Mode), "is unknown")
	}
	if w.Mode != Merge && w.Onto != 0 {
		return invalid("Write.Onto", w.Onto, "is for Merge only")
	}
	return nil
}

// Check returns the error that refuses o. It is for queues.
func (o ClaimOptions) Check() error {
	if o.Max <= 0 {
		return invalid("ClaimOptions.Max", o.Max, "must be positive")
	}
	if o.Visibility <= 0 {
		return invalid("ClaimOptions.Visibility", o.Visibility, "must be positive")
	}
	return nil
}

// Check returns the error that refuses o. It is for queues.
func (o Outcome) Check() error {
	if o.Result < Done || o.Result > Dead {
		return invalid("Outcome.Result", uint8(o.Result), "is unknown")
	}
	if o.After < 0 {
		return invalid("Outcome.After", o.After, "must not be negative")
	}
	return nil
}

// CheckOutcomes returns the error that refuses the first bad outcome. It is for
// queues, which then settle none.
func CheckOutcomes(outcomes []Outcome) error {
	for _, o := range outcomes {
		if err := o.Check(); err != nil {
			return err
		}
	}
	return nil
}

// CutReason returns reason as a dead letter keeps it: cut, valid UTF-8 and
// without NUL, which some stores refuse. It keeps nothing of reason alive. It is for
// queues.
func CutReason(reason string) string {
	reason = strings.Clone(reason[:min(len(reason), MaxReason)])
	return strings.ReplaceAll(strings.ToValidUTF8(reason, ""), "\x00", "")
}

// NextSequence returns the sequence after last: microseconds since 1970 where
// time has passed, and else last + 1. Sequences made so go on rising when the
// queue has lost its memory, as long as the clock is not turned back, and they
// stay below 2^53. It is for queues.
func NextSequence(last uint64, now time.Time) uint64 {
	if t := uint64(max(now.UnixMicro(), 0)); t > last {
		return t
	}
	return last + 1
}

func invalid(option string, value any, reason string) error {
	return &cache.OptionError{Option: option, Value: value, Reason: reason, Err: cache.ErrInvalidConfig}
}
