package cachetest

import (
	"unsafe"

	"github.com/larder-go/larder/cache"
)

// thing is a Go value that cannot be compared, encoded or copied by value.
type thing struct {
	names map[string]int
	call  func() int
}

func objectCases() []testCase {
	out := []testCase{
		{
			name: "Objects/KeepIdentity",
			rule: "Objects are held as they are: who reads one shares it with every other reader.",
			run: func(e *env) {
				made := &thing{names: map[string]int{"a": 1}, call: func() int { return 7 }}
				e.setObject("k", made, cache.EntryOptions{})
				for range 2 {
					got, found := e.getObject("k")
					if !found || got != any(made) {
						e.errorf("GetObject = %T, %v, want the very pointer that was stored", got, found)
					}
				}
			},
		},
		{
			name: "Objects/AnyValue",
			rule: "Any Go value but nil is an object: zero values, uncomparable ones and typed nil pointers too.",
			run: func(e *env) {
				e.setObject("zero", 0, cache.EntryOptions{})
				if got, found := e.getObject("zero"); !found || got != any(0) {
					e.errorf("GetObject of 0 = %v, %v", got, found)
				}
				e.setObject("nil pointer", (*thing)(nil), cache.EntryOptions{})
				if got, found := e.getObject("nil pointer"); !found || got != any((*thing)(nil)) {
					e.errorf("GetObject of a typed nil pointer = %v, %v, want it", got, found)
				}
				e.setObject("slice", []string(nil), cache.EntryOptions{})
				if got, found := e.getObject("slice"); !found || got == nil || got.([]string) != nil {
					e.errorf("GetObject of a nil slice = %#v, %v, want it", got, found)
				}
				e.setObject("struct", thing{call: func() int { return 8 }}, cache.EntryOptions{})
				if got, found := e.getObject("struct"); !found || got.(thing).call() != 8 {
					e.errorf("GetObject of a struct = %v, %v, want it", got, found)
				}
			},
		},
		{
			name: "Objects/NilIsRefused",
			rule: "A nil object is refused with ErrNilValue, and changes nothing.",
			run: func(e *env) {
				e.setObject("k", "old", cache.EntryOptions{})
				for _, key := range []string{"k", "absent"} {
					err := as[cache.Objects](e).SetObject(e.ctx, key, nil, cache.EntryOptions{})
					e.wantErr("SetObject with nil", err, cache.ErrNilValue)
				}
				if got, _ := e.getObject("k"); got != any("old") {
					e.errorf("GetObject after a refused SetObject = %v, want the old object", got)
				}
				e.wantNoObject("absent")
			},
		},
		{
			name: "Objects/IsNoByteValue",
			rule: "An object and a byte value are different kinds of entry: reading one as the other is ErrWrongType.",
			run: func(e *env) {
				e.setObject("object", []byte("looks like one"), cache.EntryOptions{})
				value, found, err := e.c.Get(e.ctx, "object")
				e.wantErr("Get of an object", err, cache.ErrWrongType)
				if found || value != nil {
					e.errorf("Get of an object = %s, %v, want nothing beside the error", short(value), found)
				}
				if got, found := e.getObject("object"); !found || string(got.([]byte)) != "looks like one" {
					e.errorf("GetObject after a Get of another kind = %v, %v, want the object", got, found)
				}
			},
		},
		{
			name: "Objects/ByteValueIsNone",
			rule: "An object and a byte value are different kinds of entry: reading one as the other is ErrWrongType.",
			run: func(e *env) {
				e.setLong("bytes", "v")
				got, found, err := as[cache.Objects](e).GetObject(e.ctx, "bytes")
				e.wantErr("GetObject of a byte value", err, cache.ErrWrongType)
				if found || got != nil {
					e.errorf("GetObject of a byte value = %v, %v, want nothing beside the error", got, found)
				}
				e.wantHit("bytes", "v")
			},
		},
		{
			name: "Objects/ReplaceEachOther",
			rule: "SetObject is Set for an object: each replaces what was there, of whatever kind.",
			run: func(e *env) {
				e.setLong("k", "bytes")
				e.setObject("k", 1, cache.EntryOptions{})
				if got, found := e.getObject("k"); !found || got != any(1) {
					e.errorf("GetObject = %v, %v, want the object that replaced the value", got, found)
				}
				e.setLong("k", "bytes again")
				e.wantHit("k", "bytes again")
			},
		},
		{
			name: "Objects/RemoveRemoves",
			rule: "Remove deletes an object as it deletes a value.",
			run: func(e *env) {
				e.setObject("k", 1, cache.EntryOptions{})
				e.remove("k")
				e.wantNoObject("k")
				e.wantMiss("k")
			},
		},
		{
			name: "Objects/KeyMemoryIsTheCallers",
			rule: "GetObject does not keep key after it returned, so the caller may reuse the memory that key points to.",
			run: func(e *env) {
				e.setObject("key-one", "one", cache.EntryOptions{})
				e.setObject("key-two", "two", cache.EntryOptions{})
				memory := make([]byte, len("key-one"))
				for range 3 {
					for key, want := range map[string]any{"key-one": "one", "key-two": "two", "key-not": nil} {
						copy(memory, key)
						got, found := e.getObject(unsafe.String(&memory[0], len(memory)))
						if got != want || found != (want != nil) {
							e.errorf("GetObject %s by a reused key = %v, %v, want %v", key, got, found, want)
						}
					}
				}
				copy(memory, "scratch")
				if got, _ := e.getObject("key-one"); got != any("one") {
					e.errorf("GetObject = %v after the memory of an earlier key was reused, want one", got)
				}
			},
		},
		{
			name: "Objects/TTL",
			rule: "SetObject is Set for an object: it is gone at its deadline.",
			run: func(e *env) {
				set := e.timed(func() { e.setObject("k", 1, cache.EntryOptions{TTL: e.units(2)}) })
				e.sleepUntilJustBefore(set.plus(e.units(2)))
				if _, found := e.getObject("k"); !found {
					e.missed("k")
				}
				e.sleepUntil(set.plus(e.units(2)))
				e.wantNoObject("k")
			},
		},
		{
			name: "Objects/Sliding",
			rule: "GetObject is Get for an object: it restarts the sliding window, never past the TTL.",
			run: func(e *env) {
				set := e.timed(func() {
					e.setObject("k", 1, cache.EntryOptions{SlidingExpiration: e.units(2), TTL: e.units(3)})
				})
				for _, n := range []float64{1, 2, 3} {
					e.sleepUntilJustBefore(set.plus(e.units(n)))
					if _, found := e.getObject("k"); !found {
						e.missed("k")
					}
				}
				e.sleepUntil(set.plus(e.units(3)))
				e.wantNoObject("k")
			},
		},
	}
	for i := range out {
		out[i].needs = append(out[i].needs, objects)
	}
	return out
}

func (e *env) setObject(key string, value any, opts cache.EntryOptions) {
	e.report.Helper()
	e.must("SetObject", as[cache.Objects](e).SetObject(e.ctx, key, value, opts))
}

func (e *env) getObject(key string) (any, bool) {
	e.report.Helper()
	value, found, err := as[cache.Objects](e).GetObject(e.ctx, key)
	e.must("GetObject", err)
	return value, found
}

func (e *env) wantNoObject(key string) {
	e.report.Helper()
	if got, found := e.getObject(key); found || got != nil {
		e.errorf("GetObject %s = %v, %v, want a miss", key, got, found)
	}
}
