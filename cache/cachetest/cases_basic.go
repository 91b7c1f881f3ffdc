package cachetest

import (
	"bytes"
	"strings"

	"github.com/larder-go/larder/cache"
)

func basicCases() []testCase {
	return []testCase{
		{
			name: "Get/MissIsNoError",
			rule: "A miss is found == false with a nil error.",
			run:  func(e *env) { e.wantMiss("absent") },
		},
		{
			name: "Set/Stores",
			rule: "Set stores value under key, and under no other.",
			run: func(e *env) {
				e.setLong("a", "1")
				e.setLong("b", "2")
				e.wantHit("a", "1")
				e.wantHit("b", "2")
				e.wantMiss("c")
			},
		},
		{
			name: "Set/Replaces",
			rule: "Set replaces what was there, by a shorter or a longer value.",
			run: func(e *env) {
				for _, value := range []string{"first", "2", "the third one", ""} {
					e.setLong("k", value)
					e.wantHit("k", value)
				}
			},
		},
		{
			name: "Remove/Removes",
			rule: "Remove deletes the entry, and no other.",
			run: func(e *env) {
				e.setLong("k", "v")
				e.setLong("other", "o")
				e.remove("k")
				e.wantMiss("k")
				e.wantHit("other", "o")
			},
		},
		{
			name: "Remove/StaysRemoved",
			rule: "Remove deletes the entry: nothing brings it back, neither reading nor Refresh.",
			run: func(e *env) {
				e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(5)})
				e.wantHit("k", "v")
				e.remove("k")
				e.refresh("k")
				e.wantMiss("k")
				e.wantMiss("k")
			},
		},
		{
			name: "Remove/MissingIsNoError",
			rule: "Remove of a missing key is no error.",
			run: func(e *env) {
				e.remove("absent")
				e.remove("absent")
				e.wantMiss("absent")
			},
		},
		{
			name: "Remove/ThenSetStores",
			rule: "A removed key can be stored again.",
			run: func(e *env) {
				e.setLong("k", "old")
				e.remove("k")
				e.setLong("k", "new")
				e.wantHit("k", "new")
			},
		},
	}
}

func valueCases() []testCase {
	return []testCase{
		{
			name: "Value/ByteExact",
			rule: "Values are bytes: any of them come back as they were.",
			run: func(e *env) {
				for i, value := range exactValues() {
					e.setLong("k", value)
					got, found := e.get("k")
					if !found || got != value {
						e.errorf("value %d: Get = %s, %v, want %s", i, short([]byte(got)), found, short([]byte(value)))
					}
				}
			},
		},
		{
			name: "Value/EmptyIsAValue",
			rule: "An empty value is a value; an entry of length zero is a non-nil empty slice.",
			run: func(e *env) {
				e.setLong("k", "")
				value, found, err := e.c.Get(e.ctx, "k")
				if value == nil || len(value) != 0 || !found || err != nil {
					e.errorf("Get = %#v, %v, %v, want []byte{}, true, nil", value, found, err)
				}
			},
		},
		{
			name: "Value/NilIsRefused",
			rule: "A nil value is refused with ErrNilValue, and changes nothing.",
			run: func(e *env) {
				e.setLong("k", "old")
				e.wantErr("Set with nil", e.c.Set(e.ctx, "k", nil, cache.EntryOptions{}), cache.ErrNilValue)
				e.wantErr("Set with nil", e.c.Set(e.ctx, "absent", nil, cache.EntryOptions{}), cache.ErrNilValue)
				e.wantHit("k", "old")
				e.wantMiss("absent")
			},
		},
		{
			name: "Value/Large",
			rule: "A value of the largest size allowed comes back as it was.",
			run: func(e *env) {
				size := e.cfg.MaxValueBytes
				if size == 0 {
					size = 1 << 20
				}
				value := strings.Repeat("0123456789abcde\x00", size/16+1)[:size]
				e.setLong("k", value)
				e.wantHit("k", value)
			},
		},
		{
			name: "Value/TooLargeIsRefused",
			rule: "A value over the limit is refused with ErrValueTooLarge, and changes nothing.",
			applies: func(c *Config) string {
				if c.MaxValueBytes == 0 {
					return "Config.MaxValueBytes names no limit"
				}
				return ""
			},
			run: func(e *env) {
				e.setLong("k", "old")
				value := make([]byte, e.cfg.MaxValueBytes+1)
				e.wantErr("Set over the limit", e.c.Set(e.ctx, "k", value, cache.EntryOptions{}), cache.ErrValueTooLarge)
				e.wantHit("k", "old")
			},
		},
		{
			name: "Value/SetCopies",
			rule: "Set stores a copy: what the caller does to the slice later changes nothing.",
			run: func(e *env) {
				value := []byte("value")
				e.must("Set", e.c.Set(e.ctx, "k", value, cache.EntryOptions{}))
				copy(value, "XXXXX")
				e.wantHit("k", "value")
			},
		},
		{
			name: "Value/GetCopies",
			rule: "The slice belongs to the caller: what is done to it, or appended to it, changes nothing.",
			run: func(e *env) {
				e.setLong("k", "value")
				for range 2 {
					value, found, err := e.c.Get(e.ctx, "k")
					if !found || err != nil {
						e.fatalf("Get = %v, %v, want a hit", found, err)
					}
					_ = append(value, "and more"...)
					copy(value, bytes.Repeat([]byte("X"), len(value)))
					e.wantHit("k", "value")
				}
			},
		},
	}
}

// exactValues returns values that were mistaken for something else before.
func exactValues() []string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return []string{
		string(all), "\x00", "\x00\x00\x00\x00\x00\x00\x00\x00", "\r\n", "a\r\nb", " ", "\n",
		"0", "1", "-1", "42", "007", "9223372036854775808", "1e3", "NaN", "true", "null", "nil", "{}", `"text"`,
		"\xff\xfe\xfd", "a\xc3", "\xed\xa0\x80", "ключ", "\u200b",
		"\x80", "\x90", "\xc0", "\xdd\xff\xff\xff\xff", "$-1\r\n", "*0\r\n", "+OK\r\n", "-ERR no\r\n",
		cache.ReservedPrefix, "__larder__:lease", "\x1f\x8b\x08",
	}
}
