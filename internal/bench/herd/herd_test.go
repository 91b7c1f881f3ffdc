package herd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/bench/redisserver"
)

// TestMain makes this program a child if it was started as one.
func TestMain(m *testing.M) {
	addr := os.Getenv("HERD_CHILD")
	if addr == "" {
		os.Exit(m.Run())
	}
	if err := Child(addr, os.Getenv("HERD_HINTS") == "true", os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestRun(t *testing.T) {
	server, err := redisserver.Start(t.Context())
	if errors.Is(err, redisserver.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	cfg := Config{Processes: 2, Callers: 20, Rounds: 2, Loads: []time.Duration{50 * time.Millisecond}}
	results, err := Run(t.Context(), server.Addr, cfg, func(hints bool) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "HERD_CHILD="+server.Addr, fmt.Sprintf("HERD_HINTS=%v", hints))
		return cmd
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 2 || !results[0].Hints || results[1].Hints {
		t.Fatalf("got %+v, want a result with hints and one without", results)
	}
	for _, r := range results {
		if r.Loads != int64(cfg.Rounds) || r.Failed != 0 || len(r.Lags) != cfg.Rounds || r.Lags[0] <= 0 || r.Commands[0] < 4 {
			t.Errorf("got %+v, want one load a round, and nobody without a value", r)
		}
	}
	report := Report(results)
	for _, want := range []string{"are woken", "poll", "50ms"} {
		if !strings.Contains(report, want) {
			t.Errorf("no %q in the report:\n%s", want, report)
		}
	}
}

func TestLagIsFromTheLastLoadToTheLastCaller(t *testing.T) {
	begin := time.Now()
	var r Result
	r.add([]outcome{
		{Loads: 1, Loaded: begin.Add(time.Second), Served: begin.Add(1100 * time.Millisecond)},
		{Served: begin.Add(1200 * time.Millisecond), Failed: 1},
	}, 7)
	if r.Loads != 1 || r.Failed != 1 || r.Lags[0] != 200*time.Millisecond || r.Commands[0] != 7 {
		t.Errorf("got %+v", r)
	}
}
