package cachetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/larder-go/larder/cache"
)

func batchCases() []testCase {
	out := []testCase{
		{
			name: "GetMany/OrderAndDuplicates",
			rule: "GetMany returns one Result per key, in the order of keys, duplicates included.",
			run: func(e *env) {
				e.setLong("a", "1")
				e.setLong("b", "2")
				e.setLong("empty", "")
				e.wantMany([]string{"b", "absent", "a", "b", "empty", "a", "absent"}, "2", miss, "1", "2", "", "1", miss)
			},
		},
		{
			name: "GetMany/NoKeys",
			rule: "No keys are no results and no error.",
			run: func(e *env) {
				for _, keys := range [][]string{nil, {}} {
					results, err := as[cache.Batcher](e).GetMany(e.ctx, keys)
					if len(results) != 0 || err != nil {
						e.errorf("GetMany(%#v) = %v, %v, want nothing", keys, results, err)
					}
				}
			},
		},
		{
			name: "GetMany/Many",
			rule: "GetMany takes any number of keys.",
			run: func(e *env) {
				keys, want := make([]string, 500), make([]string, 500)
				for i := range keys {
					keys[i], want[i] = fmt.Sprint("k", i), miss
					if i%3 != 0 {
						want[i] = fmt.Sprint("v", i)
						e.setLong(keys[i], want[i])
					}
				}
				e.wantMany(keys, want...)
			},
		},
		{
			name: "GetMany/ErrorsStayWithTheirKeys",
			rule: "What befell one key is in its Result; the others are answered all the same.",
			run: func(e *env) {
				e.setLong("a", "1")
				e.setLong("b", "2")
				keys := []string{"a", "", "b", cache.ReservedPrefix, "absent", strings.Repeat("k", e.cfg.MaxKeyBytes+1), "a"}
				results := e.getMany(keys)
				for i, want := range []error{1: cache.ErrInvalidKey, 3: cache.ErrInvalidKey, 5: cache.ErrKeyTooLong, 6: nil} {
					if want != nil {
						e.wantErr(fmt.Sprintf("GetMany: Result %d", i), results[i].Err, want)
						results[i] = cache.Result{}
					}
				}
				e.wantResults(results, "1", miss, "2", miss, miss, miss, "1")
			},
		},
		{
			name: "GetMany/Copies",
			rule: "The values belong to the caller: what is done to them changes nothing.",
			run: func(e *env) {
				e.setLong("k", "value")
				copy(e.getMany([]string{"k"})[0].Value, "XXXXX")
				e.wantHit("k", "value")
				e.wantMany([]string{"k"}, "value")
			},
		},
		{
			name: "GetMany/MovesSliding",
			rule: "Reading an entry with a sliding expiration restarts its window, by GetMany too.",
			run: func(e *env) {
				set := e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(2)})
				e.sleepUntilJustBefore(set.plus(e.units(2)))
				read := e.timed(func() {
					if !e.getMany([]string{"k"})[0].Found {
						e.missed("k")
					}
				})
				e.aliveUntil(read.plus(e.units(2)), "k")
			},
		},
		{
			name: "GetMany/Expired",
			rule: "An entry is gone at its deadline, for GetMany too.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(1))
				e.sleepUntil(set.plus(e.units(1)))
				e.wantMany([]string{"k"}, miss)
			},
		},
	}
	out = append(out, setManyCases()...)
	out = append(out, removeManyCases()...)
	for i := range out {
		out[i].needs = append(out[i].needs, batcher)
	}
	return out
}

func setManyCases() []testCase {
	return []testCase{
		{
			name: "SetMany/Stores",
			rule: "SetMany stores the items, and replaces what was there.",
			run: func(e *env) {
				e.setLong("k0", "old")
				items := make([]cache.Item, 300)
				for i := range items {
					items[i] = cache.Item{Key: fmt.Sprint("k", i), Value: fmt.Append(nil, "v", i)}
				}
				e.must("SetMany", as[cache.Batcher](e).SetMany(e.ctx, items))
				for i := range items {
					e.wantHit(fmt.Sprint("k", i), fmt.Sprint("v", i))
				}
			},
		},
		{
			name: "SetMany/NoItems",
			rule: "No items are no error.",
			run: func(e *env) {
				e.must("SetMany of nil", as[cache.Batcher](e).SetMany(e.ctx, nil))
				e.must("SetMany of none", as[cache.Batcher](e).SetMany(e.ctx, []cache.Item{}))
			},
		},
		{
			name: "SetMany/LaterWins",
			rule: "Of two items with one key the later wins.",
			run: func(e *env) {
				e.must("SetMany", as[cache.Batcher](e).SetMany(e.ctx, []cache.Item{
					{Key: "k", Value: []byte("first")}, {Key: "other", Value: []byte("o")}, {Key: "k", Value: []byte("last")},
				}))
				e.wantHit("k", "last")
				e.wantHit("other", "o")
			},
		},
		{
			name: "SetMany/PartialFailure",
			rule: "If some items could not be stored a *BatchError says which; the others are stored all the same.",
			run: func(e *env) {
				e.setLong("old", "old")
				err := as[cache.Batcher](e).SetMany(e.ctx, []cache.Item{
					{Key: "a", Value: []byte("1")},
					{Key: "", Value: []byte("x")},
					{Key: "nil"},
					{Key: "old", Value: []byte("x"), Options: cache.EntryOptions{TTL: -1}},
					{Key: strings.Repeat("k", e.cfg.MaxKeyBytes+1), Value: []byte("x")},
					{Key: "b", Value: []byte("2")},
				})
				e.wantBatchError("SetMany", err, nil, cache.ErrInvalidKey, cache.ErrNilValue, cache.ErrInvalidTTL, cache.ErrKeyTooLong, nil)
				e.wantHit("a", "1")
				e.wantHit("b", "2")
				e.wantHit("old", "old")
				e.wantMiss("nil")
			},
		},
		{
			name: "SetMany/Copies",
			rule: "SetMany stores copies: what the caller does to the slices later changes nothing.",
			run: func(e *env) {
				value := []byte("value")
				e.must("SetMany", as[cache.Batcher](e).SetMany(e.ctx, []cache.Item{{Key: "k", Value: value}}))
				copy(value, "XXXXX")
				e.wantHit("k", "value")
			},
		},
		{
			name: "SetMany/OwnOptions",
			rule: "Each item has options of its own.",
			run: func(e *env) {
				set := e.timed(func() {
					e.must("SetMany", as[cache.Batcher](e).SetMany(e.ctx, []cache.Item{
						{Key: "short", Value: []byte("s"), Options: cache.EntryOptions{TTL: e.units(1)}},
						{Key: "long", Value: []byte("l"), Options: cache.EntryOptions{TTL: e.units(2)}},
						{Key: "default", Value: []byte("d")},
					}))
				})
				e.aliveUntil(set.plus(e.units(1)), "short")
				e.goneAt(set.plus(e.units(1)), "short")
				e.aliveUntil(set.plus(e.units(2)), "long")
				e.goneAt(set.plus(e.units(2)), "long")
				e.wantHit("default", "d")
			},
		},
	}
}

func removeManyCases() []testCase {
	return []testCase{
		{
			name: "RemoveMany/Removes",
			rule: "RemoveMany removes the keys and no others; missing keys and duplicates are no error.",
			run: func(e *env) {
				var keys []string
				for i := range 300 {
					keys = append(keys, fmt.Sprint("k", i))
					e.setLong(keys[i], "v")
				}
				e.must("RemoveMany", as[cache.Batcher](e).RemoveMany(e.ctx, slices.Concat(keys[:200], []string{"absent", "k0", "k1"})))
				for i, key := range keys {
					if i < 200 {
						e.wantMiss(key)
					} else {
						e.wantHit(key, "v")
					}
				}
			},
		},
		{
			name: "RemoveMany/NoKeys",
			rule: "No keys are no error, and remove nothing.",
			run: func(e *env) {
				e.setLong("k", "v")
				e.must("RemoveMany of nil", as[cache.Batcher](e).RemoveMany(e.ctx, nil))
				e.wantHit("k", "v")
			},
		},
		{
			name: "RemoveMany/PartialFailure",
			rule: "If some keys could not be removed a *BatchError says which; the others are removed all the same.",
			run: func(e *env) {
				e.setLong("a", "1")
				e.setLong("b", "2")
				err := as[cache.Batcher](e).RemoveMany(e.ctx, []string{"a", "", "b"})
				e.wantBatchError("RemoveMany", err, nil, cache.ErrInvalidKey, nil)
				e.wantMiss("a")
				e.wantMiss("b")
			},
		},
	}
}

// miss stands for a miss among wanted values.
const miss = "\x00a miss\x00"

func (e *env) getMany(keys []string) []cache.Result {
	e.report.Helper()
	results, err := as[cache.Batcher](e).GetMany(e.ctx, keys)
	e.must("GetMany", err)
	if len(results) != len(keys) {
		e.fatalf("GetMany of %d keys returned %d results", len(keys), len(results))
	}
	return results
}

func (e *env) wantMany(keys []string, want ...string) {
	e.report.Helper()
	e.wantResults(e.getMany(keys), want...)
}

func (e *env) wantResults(results []cache.Result, want ...string) {
	e.report.Helper()
	for i, r := range results {
		switch {
		case r.Err != nil:
			e.fatalf("GetMany: Result %d has error %v", i, r.Err)
		case r.Found != (want[i] != miss):
			e.fatalf("GetMany: Result %d: found = %v, want %v", i, r.Found, !r.Found)
		case r.Found && (string(r.Value) != want[i] || r.Value == nil):
			e.fatalf("GetMany: Result %d = %s, want %s", i, short(r.Value), short([]byte(want[i])))
		}
	}
}

func (e *env) wantBatchError(what string, err error, want ...error) {
	e.report.Helper()
	var be *cache.BatchError
	if !errors.As(err, &be) || len(be.Errs) != len(want) {
		e.fatalf("%s = %v, want a *cache.BatchError with %d items", what, err, len(want))
	}
	for i, w := range want {
		if w == nil && be.Errs[i] != nil {
			e.errorf("%s: item %d: %v, want no error", what, i, be.Errs[i])
		} else if w != nil {
			e.wantErr(fmt.Sprintf("%s: item %d", what, i), be.Errs[i], w)
		}
	}
}
