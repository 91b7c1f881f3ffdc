package near

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
)

const (
	// maxIntents is how many invalidations may wait; more are dropped.
	maxIntents = 10_000

	// intentBatch is how many keys are removed by one call.
	intentBatch = 500

	// firstRetry and lastRetry are the least and the longest time between two
	// tries, before jitter.
	firstRetry = 50 * time.Millisecond
	lastRetry  = 500 * time.Millisecond
)

// intents are invalidations that failed because the shared tier could not be
// reached. Their callers were told so; all the same they are retried until they
// have happened, since the source has probably been changed already. Until then
// nothing is held for their keys here: the shared tier may answer reads with what
// was before. That lasts as long as this process; what it had not delivered when it
// is closed is dropped.
//
// A change of the key by this process that succeeds later makes them void: they
// must not remove what is newer. One that is under way at the same time as a retry
// may come before or after it, as with any write whose outcome is unknown.
type intents struct {
	// Immutable.
	cache *Cache
	ended context.Context
	end   context.CancelFunc

	mu      sync.Mutex
	waiting map[intent]wanted
	byKey   map[string]int // how many of a key
	tokens  int            // how many of tokens
	seq     uint64
	retries bool // there is a goroutine
	closed  bool
	dropped uint64

	running sync.WaitGroup
}

// intent is one invalidation: of a token, or of a key, whose write mark ends if it
// has one.
type intent struct {
	key   string
	mark  cache.WriteMark
	token cache.Token
	of    invalidated
}

type invalidated uint8

const (
	ofKey invalidated = iota
	ofMark
	ofToken
)

// wanted is since when an intent waits, and which demand of it was the last.
type wanted struct {
	since time.Time
	seq   uint64
}

func (t *intents) init(c *Cache) {
	t.cache = c
	t.ended, t.end = context.WithCancel(context.Background())
	t.waiting, t.byKey = make(map[intent]wanted), make(map[string]int)
}

// unreachable reports whether err says that the shared tier could not be asked.
func unreachable(err error) bool {
	return errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrOutcomeUnknown)
}

// intentsOf returns what is to be retried of a change that has failed.
func intentsOf(ch *change) (all []intent) {
	switch ch.op {
	case "remove", "remove_many":
		for _, key := range ch.keys {
			all = append(all, intent{key: key})
		}
	case "end_write":
		all = append(all, intent{key: ch.keys[0], mark: ch.mark, of: ofMark})
	case "expire_tokens":
		for _, token := range ch.tokens {
			all = append(all, intent{token: token, of: ofToken})
		}
	}
	return all
}

// after takes note of a change that has ended with err.
func (t *intents) after(ch *change, err error) {
	if err == nil {
		t.supersede(ch)
		return
	}
	if !unreachable(err) {
		return
	}
	all := intentsOf(ch)
	if len(all) == 0 {
		return
	}
	t.mu.Lock()
	dropped := 0
	for _, i := range all {
		if !t.addLocked(i) {
			dropped++
		}
	}
	t.mu.Unlock()
	t.cache.forget(ch) // what was read and put before they were noted
	t.drop(dropped)
}

// addLocked notes one, and reports whether there was room.
func (t *intents) addLocked(i intent) bool {
	w, known := t.waiting[i]
	if !known && (t.closed || len(t.waiting) >= maxIntents) {
		return false
	}
	if !known {
		w.since = time.Now()
		t.countLocked(i, 1)
	}
	t.seq++
	w.seq = t.seq
	t.waiting[i] = w
	if !t.retries {
		t.retries = true
		t.running.Go(t.run)
	}
	return true
}

func (t *intents) countLocked(i intent, n int) {
	if i.of == ofToken {
		t.tokens += n
		return
	}
	if t.byKey[i.key] += n; t.byKey[i.key] == 0 {
		delete(t.byKey, i.key)
	}
}

func (t *intents) removeLocked(i intent) {
	if _, ok := t.waiting[i]; ok {
		delete(t.waiting, i)
		t.countLocked(i, -1)
	}
}

// drop tells that so many will not be retried.
func (t *intents) drop(n int) {
	if n == 0 {
		return
	}
	t.mu.Lock()
	t.dropped += uint64(n)
	t.mu.Unlock()
	t.cache.observe(context.Background(), cache.Event{Kind: cache.EventIntentDropped, Count: n})
}

// supersede forgets removals of keys that have been changed since.
func (t *intents) supersede(ch *change) {
	if ch.op == "reset_ttl" || ch.op == "unlock" || ch.removed != nil && !*ch.removed {
		return // the value is the one from before
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		return
	}
	for _, key := range ch.keys {
		t.removeLocked(intent{key: key})
	}
}

// refuses reports whether nothing may be held under key, or with tokens.
func (t *intents) refuses(key string, tokens []cache.Token) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byKey[key] > 0 || t.tokens > 0 && len(tokens) > 0
}

// counts returns how many wait and how many were dropped.
func (t *intents) counts() (waiting int, dropped uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting), t.dropped
}

// run retries until nothing waits any more.
func (t *intents) run() {
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		timer := time.NewTimer(pause/2 + rand.N(pause/2+1))
		select {
		case <-timer.C:
		case <-t.ended.Done():
			timer.Stop()
			return
		}
		t.mu.Lock()
		todo := maps.Clone(t.waiting)
		t.mu.Unlock()
		if t.retry(todo) {
			pause = firstRetry
		}
		t.mu.Lock()
		t.retries = len(t.waiting) > 0
		more := t.retries
		t.mu.Unlock()
		if !more {
			return
		}
	}
}

// retry tries all of todo, or until the shared tier cannot be reached, which is
// when it returns false.
func (t *intents) retry(todo map[intent]wanted) bool {
	var keys, rest []intent
	for i := range todo {
		if i.of == ofKey {
			keys = append(keys, i)
		} else {
			rest = append(rest, i)
		}
	}
	for batch := range slices.Chunk(rest, 1) {
		if !t.deliver(batch, todo) {
			return false
		}
	}
	for batch := range slices.Chunk(keys, intentBatch) {
		if !t.deliver(batch, todo) {
			return false
		}
	}
	return true
}

// deliver makes intents of one kind happen, by one call. Any answer but that the
// shared tier cannot be reached is the last one: a write mark that had run out, say.
func (t *intents) deliver(batch []intent, todo map[intent]wanted) bool {
	if batch = t.stillWaiting(batch); len(batch) == 0 {
		return true
	}
	c, ctx := t.cache, t.ended
	var ch change
	var err error
	switch first := batch[0]; first.of {
	case ofToken:
		ch.tokens = []cache.Token{first.token}
		err = c.around(&ch, func() error { return c.Cache.ExpireTokens(ctx, ch.tokens...) })
	case ofMark:
		ch.keys = []string{first.key}
		err = c.around(&ch, func() error { return c.Cache.EndWrite(ctx, first.key, first.mark) })
	default:
		for _, i := range batch {
			ch.keys = append(ch.keys, i.key)
		}
		err = c.around(&ch, func() error { return c.Cache.RemoveMany(ctx, ch.keys) })
	}
	if unreachable(err) || t.ended.Err() != nil {
		return false
	}
	t.landed(batch, todo)
	return true
}

// stillWaiting returns those that have not been superseded since the retry began.
func (t *intents) stillWaiting(batch []intent) []intent {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(batch, func(i intent) bool {
		_, ok := t.waiting[i]
		return !ok
	})
}

// landed forgets those that were not demanded anew meanwhile.
func (t *intents) landed(batch []intent, todo map[intent]wanted) {
	oldest := time.Now()
	t.mu.Lock()
	n := 0
	for _, i := range batch {
		if w, ok := t.waiting[i]; ok && w.seq == todo[i].seq {
			t.removeLocked(i)
			n++
			if w.since.Before(oldest) {
				oldest = w.since
			}
		}
	}
	t.mu.Unlock()
	if n > 0 {
		t.cache.observe(context.Background(), cache.Event{Kind: cache.EventIntentLanded, Count: n, Duration: time.Since(oldest)})
	}
}

// close ends the retries, and waits until ctx ends. What waits is dropped.
func (t *intents) close(ctx context.Context) error {
	t.mu.Lock()
	first := !t.closed
	t.closed = true
	t.mu.Unlock()
	t.end()
	err := await(ctx, &t.running)
	if waiting, _ := t.counts(); first {
		t.drop(waiting)
	}
	return err
}

// await waits for a group until ctx ends.
func await(ctx context.Context, group *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
