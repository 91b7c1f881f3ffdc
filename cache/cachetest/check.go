package cachetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"pgregory.net/rapid"
)

// Check makes random calls, with time passing between them, on a cache of cfg
// and on the [Model], and fails with the shortest sequence it finds after which
// the two answer differently. Calls to capabilities that the cache lacks are
// left out. It needs virtual time, so cfg.RealTime must be nil, and goes by the
// flags of pgregory.net/rapid, such as -rapid.checks and -rapid.seed.
//
// It makes one call at a time: what happens to calls that meet each other is
// not its subject.
func Check(t *testing.T, cfg Config) {
	t.Helper()
	c := cfg.withDefaults(t)
	if c.RealTime != nil {
		t.Fatal("cachetest: Check needs virtual time")
	}
	steps := sequenceGenerator()
	rapid.Check(t, func(rt *rapid.T) {
		if diff := compare(t, c, steps.Draw(rt, "steps")); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// compare takes the steps on a new cache and on a new model. It returns where
// they differ first, or nothing.
func compare(t *testing.T, cfg *Config, steps []step) (diff string) {
	synctest.Test(t, func(t *testing.T) {
		tested := &side{c: cfg.New(t)}
		model := &side{c: NewModel(cache.EntryOptions{TTL: cfg.DefaultTTL})}
		tested.regions = regions.has(tested.c)
		model.regions = tested.regions
		for _, on := range []*side{tested, model} {
			on.knowTokens(t)
		}
		start := time.Now()
		for i, s := range append(steps[:len(steps):len(steps)], finalSteps()...) {
			if !s.possible(tested.c) {
				continue
			}
			got, want := s.take(t, tested), s.take(t, model)
			synctest.Wait()
			if s.what == waits {
				time.Sleep(s.wait)
			}
			if got != want {
				diff = fmt.Sprintf("step %d, at %v: %v\n\tgot  %s\n\twant %s", i, time.Since(start), s, got, want)
				return
			}
			if cfg.CoarseSliding && strings.HasPrefix(got, "hit") {
				for _, c := range []cache.Cache{tested.c, model.c} {
					if err := s.refreshAll(t, c); err != nil {
						diff = fmt.Sprintf("step %d: %v\n\tRefresh after it: %v", i, s, err)
						return
					}
				}
			}
		}
	})
	return diff
}

// finalSteps read everything.
func finalSteps() []step {
	var out []step
	for key := range stepKeys {
		for _, what := range []action{gets, getsItem, counts, getsObject, getsObjectItem, takesLock, takesObjectLock, leases} {
			out = append(out, step{what: what, keys: []int{key}, ttl: time.Minute})
		}
	}
	return out
}

// side is one of the two caches, and the leases, versions and handles it gave
// out: both sides give out the same ones in the same order, but they differ.
type side struct {
	c        cache.Cache
	regions  bool // whether the tested cache has them
	granted  []cache.Lease
	versions []cache.Version // each once
	handles  []cache.LockHandle
	marks    []cache.WriteMark
	epochs   [][16]byte // each once
	moments  []cache.Moment
}

// lease returns the n-th lease granted, counted from the last; none if there
// were fewer.
func (s *side) lease(n int) cache.Lease { return fromLast(s.granted, n) }

func fromLast[T any](all []T, n int) (none T) {
	if n <= 0 || n > len(all) {
		return none
	}
	return all[len(all)-n]
}

// reply describes a LeaseReply without its token.
func (s *side) reply(r cache.LeaseReply) string {
	switch r.State {
	case cache.LeaseGranted:
		s.granted = append(s.granted, r.Lease)
		return "granted"
	case cache.LeaseBusy:
		for i, l := range s.granted {
			if l == r.Lease {
				return fmt.Sprint("busy with lease ", i)
			}
		}
		return "busy with an unknown lease"
	case cache.LeaseFound:
		return "found"
	case cache.LeaseMarked:
		return "marked, " + s.epochName(r.Lease)
	default:
		return "refused"
	}
}

// errorName returns the sentinel that err is, for comparison.
func errorName(err error) string {
	var batch *cache.BatchError
	if errors.As(err, &batch) {
		names := make([]string, len(batch.Errs))
		for i, e := range batch.Errs {
			names[i] = errorName(e)
		}
		return "batch: " + strings.Join(names, ", ")
	}
	for _, sentinel := range []error{
		cache.ErrInvalidKey, cache.ErrNilValue, cache.ErrInvalidTTL, cache.ErrInvalidConfig,
		cache.ErrWrongType, cache.ErrOverflow, cache.ErrLeaseLost,
		cache.ErrVersionMismatch, cache.ErrOutdated, cache.ErrInvalidVersion, cache.ErrNoEntry, cache.ErrExists,
		cache.ErrLocked, cache.ErrNotLocked, cache.ErrInvalidHandle,
		cache.ErrWriteOverlapped, cache.ErrTooManyWriters, cache.ErrInvalidMark, cache.ErrBeingWritten,
		cache.ErrInvalidToken, cache.ErrRegionExpired,
	} {
		if errors.Is(err, sentinel) {
			return sentinel.Error()
		}
	}
	if err == nil {
		return "done"
	}
	return err.Error()
}
