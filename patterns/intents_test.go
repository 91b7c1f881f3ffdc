package patterns_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	"github.com/larder-go/larder/patterns"
)

// notebook are intents in memory, of the transactions of a table.
type notebook struct {
	*table
	notes []patterns.Intent
	err   error
}

func (n *notebook) Note(ctx context.Context, what patterns.Intent) error {
	if _, ok := ctx.Value(tableTxKey{n.table}).(*tableTx); !ok {
		return errors.New("no transaction")
	}
	n.notes = append(n.notes, what)
	return n.err
}

// What cannot be marked, or expired, is noted in the write's transaction, and
// nothing else is.
func TestIntentsNoteWhatTheCacheWasNotTold(t *testing.T) {
	down := cachetest.Fault{Kind: cachetest.FailBefore, Err: cache.ErrUnavailable}
	some := func(err error, ops ...string) cachetest.Fault {
		return cachetest.Fault{Kind: cachetest.FailBefore, Err: err, Ops: ops}
	}
	all := patterns.Intent{
		Keys:   []string{entity.Key(1)},
		Tokens: []cache.Token{cache.KeyToken("category", leek.Category), cache.KeyToken("category", apple.Category)},
	}
	for _, tc := range []struct {
		name  string
		fault cachetest.Fault
		noted bool
	}{
		{"the cache is there", cachetest.Fault{}, false},
		{"it is away", down, true},
		{"no marks", some(cache.ErrUnavailable, "begin_write"), true},
		{"marks whose outcome is unknown", some(cache.ErrOutcomeUnknown, "begin_write"), true},
		{"too many writers", some(cache.ErrTooManyWriters, "begin_write"), true},
		{"marks, but tokens do not expire", some(cache.ErrUnavailable, "expire_tokens"), true},
		{"it goes after the commit", some(cache.ErrUnavailable, "end_write", "set", "set_object"), false},
	} {
		for name, wrap := range wrappers {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				s := newTable(map[int]product{1: apple})
				f, c := cachetest.NewFaults(openMemory(t), 1)
				n := &notebook{table: s}
				r := must(wrap(c, s, n))
				if tc.fault.Err != nil {
					f.Plan(tc.fault)
				}
				if err := r.Save(t.Context(), 1, leek); err != nil && !errors.Is(err, cache.ErrCommittedCacheDegraded) {
					t.Fatal(err)
				}
				if s.rows[1] != leek {
					t.Errorf("the source has %v, want %v", s.rows[1], leek)
				}
				if !tc.noted {
					if len(n.notes) > 0 {
						t.Errorf("noted %v, want nothing", n.notes)
					}
					return
				}
				if len(n.notes) != 1 || !reflect.DeepEqual(n.notes[0], all) {
					t.Errorf("noted %v, want once %v", n.notes, all)
				}
			})
		}
	}
}

var wrappers = map[string]func(cache.Cache, *table, patterns.Intents) (repository, error){
	"aside": func(c cache.Cache, s *table, in patterns.Intents) (repository, error) {
		e := entity
		e.Intents = in
		return patterns.NewCacheAside(c, repository(s), e)
	},
	"through": func(c cache.Cache, s *table, in patterns.Intents) (repository, error) {
		e := entity
		e.Intents = in
		return patterns.NewWriteThrough(c, repository(s), e, nil)
	},
}

// A write that cannot be noted does not happen; nor does one that FailWrite refuses,
// which notes nothing.
func TestIntentsThatFail(t *testing.T) {
	for name, wrap := range wrappers {
		t.Run(name, func(t *testing.T) {
			s := newTable(map[int]product{1: apple})
			f, c := cachetest.NewFaults(openMemory(t), 1)
			r := must(wrap(c, s, &notebook{table: s, err: errSource}))
			f.Plan(cachetest.Fault{Kind: cachetest.FailBefore, Err: cache.ErrUnavailable})
			if err := r.Save(t.Context(), 1, leek); !errors.Is(err, errSource) || s.rows[1] != apple {
				t.Errorf("got %v and %v, want the error of the intents and nothing written", err, s.rows[1])
			}
		})
	}
	s := newTable(map[int]product{1: apple})
	f, c := cachetest.NewFaults(openMemory(t), 1)
	e, n := entity, &notebook{table: s}
	e.Intents = n
	r := must(patterns.NewWriteThrough(c, repository(s), e, &patterns.WriteThroughOptions{WhenCacheFails: patterns.FailWrite}))
	f.Plan(cachetest.Fault{Kind: cachetest.FailBefore, Err: cache.ErrUnavailable})
	if err := r.Save(t.Context(), 1, leek); !errors.Is(err, cache.ErrUnavailable) || s.rows[1] != apple || len(n.notes) > 0 {
		t.Errorf("got %v, %v and %v; want ErrUnavailable and nothing written or noted", err, s.rows[1], n.notes)
	}
}

func TestIntentsNeedWhatTheyNeed(t *testing.T) {
	s := newTable(nil)
	e := entity
	e.Intents = &notebook{table: s}
	c := openMemory(t)
	_, plain := patterns.NewCacheAside(c, s.plain(), e)
	_, plainThrough := patterns.NewWriteThrough(c, s.plain(), e, nil)
	e.Dependents = nil
	_, four := patterns.NewCacheAside(fourMethods{c}, repository(s), e)
	_, behind := patterns.NewWriteBehind(t.Context(), c, repository(s), newMemoryQueue(t), e, nil)
	for name, err := range map[string]error{
		"no transactions": plain, "no transactions, through": plainThrough, "no marks": four, "write-behind": behind,
	} {
		if !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("%s: got %v, want ErrInvalidConfig", name, err)
		}
	}
}
