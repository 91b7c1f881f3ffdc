package racematrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"
)

// outcome is what became of one caller.
type outcome string

const (
	gotValue outcome = "value" // of a later load, by a caller that tried again
	gotOther outcome = "other" // a value that no load returned
	gotError outcome = "error"
	panicked outcome = "panic" // and the caller recovered
	exited   outcome = "exit"  // its goroutine ended and the call did not return
	hung     outcome = "hang"
)

// aftermath is what a child process reports of a race that it survived.
type aftermath struct {
	Leader outcome
	Others []outcome
	Later  outcome // of a call when all was over and the source well
}

// task is what a child process is asked to do.
type task struct {
	Race, Contender, Addr, Key string
	Recover                    bool // callers recover from panics, as those of net/http do
}

// Child plays one race in this process, which may not survive it. arg is what a
// [Command] was given; out gets the report.
func Child(ctx context.Context, contenders []Contender, arg string, out io.Writer) error {
	var t task
	if err := json.Unmarshal([]byte(arg), &t); err != nil {
		return err
	}
	i := slices.IndexFunc(contenders, func(c Contender) bool { return c.Name == t.Contender })
	if i < 0 {
		return fmt.Errorf("racematrix: no contender %q", t.Contender)
	}
	deeds := map[string]func(){
		"4": func() { panic(panicText) },
		"5": runtime.Goexit,
	}
	var a aftermath
	var err error
	if deed := deeds[t.Race]; deed != nil {
		a, err = misbehave(ctx, contenders[i], t, deed)
	} else {
		a, err = recurse(ctx, contenders[i], t)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(a)
}

// panicText tells the crash that was asked for from any other.
const panicText = "racematrix: this loader panics"

// misbehave has the first load end with deed while callers wait for it.
func misbehave(ctx context.Context, contender Contender, t task, deed func()) (a aftermath, err error) {
	started, held := newGate(), newGate()
	loads := make(chan struct{}, 1)
	loads <- struct{}{}
	c, err := contender.Texts(t.Addr, func(context.Context, string) (string, error) {
		select {
		case <-loads:
			started.open()
			<-held.opened
			deed()
		default:
		}
		return newValue, nil
	})
	if err != nil {
		return a, err
	}
	leader := outcomeOf(ctx, c, t)
	if err := begun(started.opened); err != nil {
		return a, err
	}
	var others []<-chan outcome
	for range waiters {
		others = append(others, outcomeOf(ctx, c, t))
	}
	time.Sleep(settle)
	held.open()
	a.Leader = ended(leader)[0]
	a.Others = ended(others...)
	a.Later = ended(outcomeOf(ctx, c, t))[0]
	return a, nil
}

// errTooDeep ends the recursion of a cache that does not.
var errTooDeep = errors.New("racematrix: the loader runs inside itself")

// recurse asks for the key that is being loaded, from within its loader.
func recurse(ctx context.Context, contender Contender, t task) (a aftermath, err error) {
	var c *Cache[string]
	depth := 0
	c, err = contender.Texts(t.Addr, func(ctx context.Context, key string) (string, error) {
		if depth++; depth > 1 {
			return "", errTooDeep
		}
		value, err := c.Get(ctx, key)
		if errors.Is(err, errTooDeep) {
			return newValue, nil
		}
		return value, err
	})
	if err != nil {
		return a, err
	}
	a.Leader = ended(outcomeOf(ctx, c, t))[0]
	return a, nil
}

// outcomeOf calls c.Get in a goroutine of its own.
func outcomeOf(ctx context.Context, c *Cache[string], t task) <-chan outcome {
	got := make(chan outcome, 1)
	go func() {
		result := exited
		defer func() {
			if p := recover(); p != nil {
				if !t.Recover {
					panic(p) // and no result: the process must not end before it
				}
				result = panicked
			}
			got <- result
		}()
		value, err := c.Get(ctx, t.Key)
		switch {
		case err != nil:
			result = gotError
		case value != newValue:
			result = gotOther
		default:
			result = gotValue
		}
	}()
	return got
}

// ended waits for callers that nothing holds up, for all of them together.
func ended(callers ...<-chan outcome) (outcomes []outcome) {
	late := time.NewTimer(childPatience)
	defer late.Stop()
	for i, c := range callers {
		select {
		case o := <-c:
			outcomes = append(outcomes, o)
		case <-late.C:
			return append(outcomes, slices.Repeat([]outcome{hung}, len(callers)-i)...)
		}
	}
	return outcomes
}

// childPatience is short, for whatever hangs in a child costs it.
const childPatience = 2 * time.Second
