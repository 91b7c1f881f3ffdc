package engine

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkHit reads entries that expire, over a hot set and over many keys.
// internal/bench/enginebench compares with others.
func BenchmarkHit(b *testing.B) {
	for _, count := range []int{512, 100_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			e := New(Options[*int]{Limits: Limits{Entries: 1 << 18}})
			keys := make([]string, count)
			for i := range keys {
				keys[i] = fmt.Sprintf("product-%08d", i)
				if err := e.Set(NewNode(keys[i], &i, 1, int64(time.Hour), false)); err != nil {
					b.Fatal(err)
				}
			}
			i := 0
			for b.Loop() {
				if i += 7919; i >= count {
					i %= count
				}
				if n := e.Find(keys[i]); n == nil || !e.Live(n) {
					b.Fatal("a miss")
				}
			}
		})
	}
}

// BenchmarkEvictingSet stores keys that are not there in a full engine.
func BenchmarkEvictingSet(b *testing.B) {
	for _, capacity := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(capacity), func(b *testing.B) {
			e := New(Options[*int]{Limits: Limits{Entries: int64(capacity)}})
			keys := make([]string, 4*capacity)
			for i := range keys {
				keys[i] = fmt.Sprintf("product-%08d", i)
			}
			i, value := 0, new(int)
			for b.Loop() {
				if i++; i == len(keys) {
					i = 0
				}
				if err := e.Set(NewNode(keys[i], value, 1, e.Now()+int64(time.Hour), false)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReplacingSet stores keys that are there.
func BenchmarkReplacingSet(b *testing.B) {
	e := New(Options[*int]{Limits: Limits{Entries: 1000}})
	value := new(int)
	for b.Loop() {
		if err := e.Set(NewNode("a key", value, 1, e.Now()+int64(time.Hour), false)); err != nil {
			b.Fatal(err)
		}
	}
}
