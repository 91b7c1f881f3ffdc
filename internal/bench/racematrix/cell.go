package racematrix

import (
	"fmt"
	"time"
)

// The verdicts. What a cell says beyond them is a duration.
const (
	right       = "right"
	stale       = "stale"
	storedStale = "stored stale"
	leadersEnd  = "leader's error"
	waits       = "waits"
	crashes     = "crashes"
	unrecovered = "crashes if unrecovered"
	hangs       = "hangs"
	deadlocks   = "deadlocks"
	recurses    = "recurses"
	made        = "made-up value"
	ends        = "ends callers"
	stuck       = "key stuck"
	changed     = "changed"
	notKept     = "not kept"
	wrong       = "wrong"
	none        = "n/a"
)

// Cell is what came of one part of a race for one contender.
type Cell struct {
	Text  string
	Note  string // explains Text, may be empty
	Right bool   // what larder promises; also for n/a
}

func verdict(text string) Cell { return Cell{Text: text, Right: text == right} }

func notApplicable(why string) Cell { return Cell{Text: none, Note: why, Right: true} }

// byChance is verdict of what befell n of all who waited.
func byChance(text string, n, all int) Cell {
	c := verdict(text)
	if n < all {
		c.Note = "some of them, by chance"
	}
	return c
}

// staleness is the verdict on a read that began after an invalidation.
func staleness(got answer, as string) Cell {
	switch {
	case got.value == oldValue:
		return verdict(as)
	case got.value == newValue && got.err == nil:
		return verdict(right)
	case got.hung:
		return verdict(hangs)
	}
	return verdict(wrong)
}

// seconds renders a time that is right if it is short enough.
func seconds(took, atMost time.Duration) Cell {
	digits := 0
	if took < 950*time.Millisecond {
		digits = 1
	}
	return Cell{Text: fmt.Sprintf("%.*f s", digits, took.Seconds()), Right: took <= atMost}
}

// legend explains the verdicts, in the order of their first use.
func legend() [][2]string {
	return [][2]string{
		{right, "as a caller may expect: what was invalidated is not seen again, each caller gets the value or an error of its own, entries come back as they were"},
		{stale, "a read that began after the invalidation returned got the old value from a load that began before it"},
		{storedStale, "the load that began before the invalidation stored its old value after it; readers get it until it expires"},
		{leadersEnd, "a caller whose own context lives got the context error of the caller that began the load"},
		{waits, "the deadline passes and the call does not return until the load does"},
		{unrecovered, "the panic goes on in callers and ends the process, unless each of them recovers; the note says in which callers"},
		{crashes, "the process ends, whether callers recover or not"},
		{hangs, "callers do not return, although the load has ended"},
		{made, "a caller got a value that no load returned, and no error"},
		{ends, "the goroutines of callers end too (runtime.Goexit), although the loader was not theirs"},
		{stuck, "later calls for the key fail, although the source is well again"},
		{wrong, "anything else"},
		{deadlocks, "the call does not return"},
		{recurses, "the loader runs inside itself, as deep as the stack allows"},
		{changed, "what comes back from the cache is not what was loaded"},
		{notKept, "the next call loads again; to have it kept, callers store a value of their own that means it"},
		{none, "does not apply; the note says why"},
	}
}
