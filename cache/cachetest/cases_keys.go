package cachetest

import (
	"fmt"
	"strings"

	"github.com/larder-go/larder/cache"
)

func keyCases() []testCase {
	return append([]testCase{
		{
			name: "Key/ByteExact",
			rule: "Any bytes are a key, and distinct bytes are distinct keys.",
			run: func(e *env) {
				keys := exactKeys(e.cfg.MaxKeyBytes)
				for i, key := range keys {
					e.setLong(key, fmt.Sprint(i))
				}
				for i, key := range keys {
					e.wantHit(key, fmt.Sprint(i))
				}
				for i, key := range keys {
					e.remove(key)
					e.wantMiss(key)
					if i+1 < len(keys) {
						e.wantHit(keys[i+1], fmt.Sprint(i+1))
					}
				}
			},
		},
		{
			name: "Key/CaseMatters",
			rule: "Distinct bytes are distinct keys: upper and lower case are told apart.",
			run: func(e *env) {
				e.setLong("key", "lower")
				e.wantMiss("KEY")
				e.setLong("Key", "upper")
				e.wantHit("key", "lower")
				e.remove("KEY")
				e.wantHit("key", "lower")
				e.wantHit("Key", "upper")
			},
		},
		{
			name: "Key/Longest",
			rule: "A key of the greatest length is a key.",
			run: func(e *env) {
				long := strings.Repeat("k", e.cfg.MaxKeyBytes)
				e.setLong(long, "v")
				e.wantHit(long, "v")
				e.wantMiss(long[1:])
				e.remove(long)
				e.wantMiss(long)
			},
		},
	}, refusedKeyCases()...)
}

// refusedKeyCases check that no call takes a bad key.
func refusedKeyCases() []testCase {
	bad := []struct {
		name string
		rule string
		key  func(*Config) string
		want error
	}{
		{"Empty", "An empty key is ErrInvalidKey, whatever the call.",
			func(*Config) string { return "" }, cache.ErrInvalidKey},
		{"Reserved", "A key that begins with ReservedPrefix is ErrInvalidKey, whatever the call.",
			func(*Config) string { return cache.ReservedPrefix + "k" }, cache.ErrInvalidKey},
		{"JustReserved", "ReservedPrefix alone is ErrInvalidKey, whatever the call.",
			func(*Config) string { return cache.ReservedPrefix }, cache.ErrInvalidKey},
		{"TooLong", "A key over MaxKeyLength is ErrKeyTooLong, whatever the call.",
			func(c *Config) string { return strings.Repeat("k", c.MaxKeyBytes+1) }, cache.ErrKeyTooLong},
	}
	var out []testCase
	for _, b := range bad {
		out = append(out, testCase{
			name: "Key/" + b.name + "IsRefused",
			rule: b.rule,
			run: func(e *env) {
				for _, call := range e.calls() {
					e.wantErr(call.name, call.do(e.ctx, b.key(e.cfg)), b.want)
				}
			},
		})
	}
	return out
}

// exactKeys returns keys that a careless cache would confuse or refuse.
func exactKeys(longest int) []string {
	keys := []string{
		"k", "K", "kk", " k", "k ", " ", "\t", "\n", "\r\n", "k\r\nDEL k", "\x00", "\x00\x00", "k\x00", "\x00k", "k\x00k",
		"*", "?", "[a]", "a*", "a?", `\`, "^", "k*",
		"{}", "{", "}", "{a}", "{}{a}", "{a}b", "{b}a", "a{b}c", "{{a}}",
		":", "a:b", "a::b", "a", "b", "a:", ":a", "a|b", "a/b", "../a", "a\\b", "%00", "%", "$", "@",
		"\xff", "\xfe", "\xc3\x28", "a\xc3", "\xed\xa0\x80", // not UTF-8
		"\u00e9", "e\u0301", "\u200b", "\u200bk", "\u202ek", "ключ", "🔑",
		"1", "01", "-1", "nil", "null", "value", "data", "absexp", "sldexp",
		"__larder_", "__LARDER__k", "k__larder__", "_larder__",
	}
	for n := 2; n < longest; n *= 4 {
		keys = append(keys, strings.Repeat("l", n))
	}
	return append(keys, strings.Repeat("l", longest-1), strings.Repeat("l", longest))
}
