package herd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/internal/bench"
)

// Config is what to measure.
type Config struct {
	Processes int
	Callers   int // in each process
	Rounds    int
	Loads     []time.Duration // how long the source takes
}

// Result is what was measured of one way to wait and one time to load.
type Result struct {
	Hints    bool
	Load     time.Duration
	Loads    int64           // in all rounds
	Rounds   int             // each with one cold key
	Failed   int64           // callers without a value
	Lags     []time.Duration // from the end of a round's load to its last caller, sorted
	Commands []int           // that the server ran in a round, those of scripts included, sorted
}

// Run measures with and without hints. command makes a process that calls Child
// with these arguments.
func Run(ctx context.Context, addr string, cfg Config, command func(hints bool) *exec.Cmd) ([]Result, error) {
	client := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})
	defer client.Close()
	var results []Result
	for _, hints := range []bool{true, false} {
		children := make([]*child, cfg.Processes)
		for i := range children {
			c, err := startChild(command(hints))
			if err != nil {
				return nil, errors.Join(err, endAll(children[:i]))
			}
			children[i] = c
		}
		for _, load := range cfg.Loads {
			r, err := measure(ctx, client, children, cfg, hints, load)
			if err != nil {
				return nil, errors.Join(err, endAll(children))
			}
			results = append(results, r)
		}
		if err := endAll(children); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// measure runs the rounds of one load time, after one that nobody counts: it
// opens connections.
func measure(ctx context.Context, client *redis.Client, children []*child, cfg Config, hints bool, load time.Duration) (Result, error) {
	r := Result{Hints: hints, Load: load, Rounds: cfg.Rounds}
	for i := range cfg.Rounds + 1 {
		before, err := commands(ctx, client)
		if err != nil {
			return r, err
		}
		o := order{
			Key: fmt.Sprintf("%v/%v/%d", hints, load, i), Callers: cfg.Callers, Load: load,
			At: time.Now().Add(50 * time.Millisecond), // until all callers stand ready
		}
		outcomes, err := round(children, o)
		if err != nil {
			return r, err
		}
		after, err := commands(ctx, client)
		if err != nil {
			return r, err
		}
		if i == 0 {
			continue
		}
		r.add(outcomes, after-before)
	}
	slices.Sort(r.Lags)
	slices.Sort(r.Commands)
	return r, nil
}

func (r *Result) add(outcomes []outcome, commands int) {
	var loaded, served time.Time
	for _, o := range outcomes {
		r.Loads += o.Loads
		r.Failed += o.Failed
		if o.Loaded.After(loaded) {
			loaded = o.Loaded
		}
		if o.Served.After(served) {
			served = o.Served
		}
	}
	r.Lags = append(r.Lags, served.Sub(loaded))
	r.Commands = append(r.Commands, commands)
}

// commands returns how many commands the server has run so far, without what it
// takes to find out.
func commands(ctx context.Context, client *redis.Client) (n int, err error) {
	info, err := client.Info(ctx, "commandstats").Result()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(info) {
		name, rest, found := strings.Cut(strings.TrimSpace(line), ":calls=")
		if !found || name == "cmdstat_info" {
			continue
		}
		calls, _, _ := strings.Cut(rest, ",")
		k, err := strconv.Atoi(calls)
		if err != nil {
			return 0, err
		}
		n += k
	}
	return n, nil
}

// child is a process that runs Child.
type child struct {
	cmd      *exec.Cmd
	in       io.Closer
	orders   *json.Encoder
	outcomes *json.Decoder
}

func startChild(cmd *exec.Cmd) (*child, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &child{cmd, in, json.NewEncoder(in), json.NewDecoder(out)}, nil
}

// endAll ends the children, which end when they can read no more.
func endAll(children []*child) error {
	var errs []error
	for _, c := range children {
		errs = append(errs, c.in.Close(), c.cmd.Wait())
	}
	return errors.Join(errs...)
}

func round(children []*child, o order) ([]outcome, error) {
	for _, c := range children {
		if err := c.orders.Encode(o); err != nil {
			return nil, err
		}
	}
	outcomes := make([]outcome, len(children))
	for i, c := range children {
		if err := c.outcomes.Decode(&outcomes[i]); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

// Report is the results as a markdown table.
func Report(results []Result) string {
	t := &bench.Table{Header: []string{"followers", "load", "loads per key", "without a value", "last caller after the load, median", "worst", "commands, median"}}
	for _, r := range results {
		if len(r.Lags) == 0 {
			continue
		}
		name := "poll"
		if r.Hints {
			name = "are woken"
		}
		t.Add(name, r.Load.String(), bench.Number(float64(r.Loads)/float64(r.Rounds)), strconv.FormatInt(r.Failed, 10),
			millis(r.Lags[len(r.Lags)/2]), millis(r.Lags[len(r.Lags)-1]), strconv.Itoa(r.Commands[len(r.Commands)/2]))
	}
	return t.String()
}

func millis(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64) + " ms"
}
