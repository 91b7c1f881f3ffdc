package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// events is what the page shows of what happened last.
type events struct {
	mu   sync.Mutex
	last []event
}

type event struct {
	At    time.Time
	Text  string
	Times int // in a row
}

func (l *events) add(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.last); n > 0 && l.last[n-1].Text == text {
		l.last[n-1].Times++
		l.last[n-1].At = time.Now()
		return
	}
	l.last = append(l.last, event{At: time.Now(), Text: text, Times: 1})
	if len(l.last) > 15 {
		l.last = slices.Delete(l.last, 0, 1)
	}
}

// list returns the events, the newest first.
func (l *events) list() []event {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := slices.Clone(l.last)
	slices.Reverse(list)
	return list
}
