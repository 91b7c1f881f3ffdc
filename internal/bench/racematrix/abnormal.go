package racematrix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
)

// Command makes the command that calls [Child] with arg in a process of its
// own.
type Command func(ctx context.Context, arg string) *exec.Cmd

func loaderPanics() Race {
	return Race{
		ID: "4", Title: "The loader panics while others wait for it",
		Why:   "a bug in one loader must neither end the process nor leave callers waiting",
		Parts: []Part{{"4", "loader panics: the process and the callers"}},
		Play: func(ctx context.Context, s *Setting) ([]Cell, error) {
			c, err := panics(ctx, s)
			return []Cell{c}, err
		},
	}
}

// panics tries callers that do not recover first. Only if that ends the process
// it tries those that do.
func panics(ctx context.Context, s *Setting) (Cell, error) {
	a, crashed, err := s.children(ctx, "4", false, func(a aftermath) bool { return !afterwards(a).Right })
	if err != nil || !crashed {
		return afterwards(a), err
	}
	a, crashed, err = s.children(ctx, "4", true, func(a aftermath) bool { return slices.Contains(a.Others, panicked) })
	if err != nil {
		return Cell{}, err
	}
	if crashed {
		return verdict(crashes), nil
	}
	c := afterwards(a)
	switch {
	case c.Text != unrecovered:
		c.Note = "if callers recover from panics, and else it crashes"
	case count(a.Others, panicked) == len(a.Others):
		c.Note = "in all callers that waited; the key works afterwards"
	case slices.Contains(a.Others, panicked):
		c.Note = "in the caller that began the load and, by chance, in some that waited; the key works afterwards"
	default:
		c.Note = "in the caller that began the load; the key works afterwards"
	}
	c.Right = false
	return c, nil
}

func loaderExits() Race {
	return Race{
		ID: "5", Title: "The loader calls runtime.Goexit, as t.FailNow does, while others wait for it",
		Why:   "there is no value and no error then, and callers must not be told otherwise",
		Parts: []Part{{"5", "loader calls runtime.Goexit: the callers"}},
		Play: func(ctx context.Context, s *Setting) ([]Cell, error) {
			a, crashed, err := s.children(ctx, "5", false, func(a aftermath) bool { return !afterwards(a).Right })
			if crashed {
				return []Cell{verdict(crashes)}, err
			}
			return []Cell{afterwards(a)}, err
		},
	}
}

// afterwards judges a process that lives on after a load ended abnormally.
func afterwards(a aftermath) Cell {
	all := append([]outcome{a.Leader}, a.Others...)
	switch {
	case slices.Contains(all, hung):
		return verdict(hangs)
	case slices.Contains(all, gotOther):
		return verdict(made)
	case slices.Contains(a.Others, exited):
		return byChance(ends, count(a.Others, exited), len(a.Others))
	case a.Later != gotValue:
		return verdict(stuck)
	case slices.Contains(all, panicked):
		return verdict(unrecovered)
	}
	return verdict(right)
}

func count(outcomes []outcome, wanted outcome) (n int) {
	for _, o := range outcomes {
		if o == wanted {
			n++
		}
	}
	return n
}

func recursion() Race {
	return Race{
		ID: "10", Title: "The loader of a key asks the cache for that key",
		Why:   "the mistake is easily made across packages, and an error finds it; otter's documentation forbids it",
		Parts: []Part{{"10", "loader asks for its own key: the call"}},
		Play: func(ctx context.Context, s *Setting) ([]Cell, error) {
			a, crashed, err := s.child(ctx, "10", false)
			switch {
			case err != nil:
				return nil, err
			case crashed:
				return []Cell{verdict(crashes)}, nil
			case a.Leader == hung:
				return []Cell{verdict(deadlocks)}, nil
			case a.Leader == gotError:
				return []Cell{verdict(right)}, nil
			}
			return []Cell{verdict(recurses)}, nil
		},
	}
}

// children plays a race in child processes, one after the other, until one
// crashed or shows what is looked for. It returns what the last one reports.
func (s *Setting) children(ctx context.Context, race string, recovers bool, found func(aftermath) bool) (a aftermath, crashed bool, err error) {
	for range s.Plays {
		a, crashed, err = s.child(ctx, race, recovers)
		if err != nil || crashed || found(a) {
			break
		}
	}
	return a, crashed, err
}

// child plays a race in a child process. crashed means that the loader's panic
// ended it; any other failure is an error.
func (s *Setting) child(ctx context.Context, race string, recovers bool) (a aftermath, crashed bool, err error) {
	arg, err := json.Marshal(task{
		Race: race, Contender: s.Contender.Name, Addr: s.Addr(), Recover: recovers,
		Key: newKey(),
	})
	if err != nil {
		return a, false, err
	}
	cmd := s.Command(ctx, string(arg))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && bytes.Contains(stderr.Bytes(), []byte(panicText)) {
		return a, true, nil
	}
	if err != nil {
		return a, false, fmt.Errorf("racematrix: child process: %w: %s", err, stderr.Bytes())
	}
	return a, false, json.Unmarshal(stdout.Bytes(), &a)
}
