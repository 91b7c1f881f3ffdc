package memory_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

func TestNewRefusesBadOptions(t *testing.T) {
	for _, tc := range []struct {
		option string
		opts   memory.Options
	}{
		{"MaxEntries", memory.Options{MaxEntries: -1}},
		{"MaxBytes", memory.Options{MaxBytes: -1}},
		{"MaxValueBytes", memory.Options{MaxValueBytes: -1}},
		{"MaxValueBytes", memory.Options{MaxBytes: 10, MaxValueBytes: 11}},
		{"Defaults.Lease", memory.Options{Defaults: cache.EntryOptions{Lease: cache.Lease{1}}}},
		{"EntryOptions.TTL", memory.Options{Defaults: cache.EntryOptions{TTL: -time.Second}}},
		{"EntryOptions.Size", memory.Options{Defaults: cache.EntryOptions{Size: -1}}},
	} {
		t.Run(tc.option, func(t *testing.T) {
			_, err := memory.New(&tc.opts)
			var refused *cache.OptionError
			if !errors.As(err, &refused) || !strings.HasSuffix(refused.Option, tc.option) {
				t.Errorf("got %v, want an OptionError for %s", err, tc.option)
			}
			wantError(t, err, cache.ErrInvalidConfig)
		})
	}
}

func TestNewReportsAllBadOptionsAtOnce(t *testing.T) {
	_, err := memory.New(&memory.Options{MaxEntries: -1, MaxBytes: -1, MaxValueBytes: -1})
	for _, option := range []string{"MaxEntries", "MaxBytes", "MaxValueBytes"} {
		if err == nil || !strings.Contains(err.Error(), option) {
			t.Errorf("got %v, want %s named", err, option)
		}
	}
}

func TestNewBoundsACacheWithoutLimits(t *testing.T) {
	c := open(t, nil)
	wantError(t, c.Set(ctx, "k", make([]byte, memory.DefaultMaxBytes), cache.EntryOptions{}), cache.ErrValueTooLarge)
}

func TestCauseNames(t *testing.T) {
	for cause, want := range map[memory.Cause]string{
		memory.CauseRemoved: "removed", memory.CauseReplaced: "replaced",
		memory.CauseExpired: "expired", memory.CauseCapacity: "capacity", 0: "unknown",
	} {
		if got := cause.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
