package racematrix

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/bench/redisserver"
)

// TestMain lets the test's program stand in for the one that plays the races
// which may end a process.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-child" {
		if err := Child(context.Background(), append(Contenders(), twins()...), os.Args[2], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func self(t *testing.T) Command {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, arg string) *exec.Cmd { return exec.CommandContext(ctx, path, "-child", arg) }
}

func TestLarderLosesNoRace(t *testing.T) {
	m, err := Run(t.Context(), []Contender{larderMemory(), larderRedis()}, 2, self(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range m.Columns {
		for _, p := range parts() {
			cell, played := c.Cells[p.ID]
			if !played || !cell.Right {
				t.Errorf("%s: %s: got %q, want it right", c.Contender.Name, p.ID, cell.Text)
			}
			if onlyRedis := p.ID[0] == '8' || p.ID[0] == '9'; cell.Text == none && (c.Contender.OnRedis || !onlyRedis) {
				t.Errorf("%s: %s: got %q, want it played", c.Contender.Name, p.ID, cell.Text)
			}
		}
	}
	if len(m.Columns) < 2 {
		t.Skip(redisserver.ErrMissing, "for the second half")
	}
}

// Each race must tell a cache that loses it from one that does not.
func TestRacesAreLostByWhoDeservesIt(t *testing.T) {
	for _, tc := range []struct {
		twin Contender
		want map[string]string
	}{
		{naiveTwin(), map[string]string{
			"1a": right, "1b": storedStale, "2": right, "3": waits, "4": unrecovered, "5": right, "6": storedStale,
			"7a": notKept, "7b": notKept, "7c": notKept, "7d": notKept,
			"9a": right, "9b": right, "9c": storedStale, "9d": storedStale, "9e": storedStale, "10": recurses,
		}},
		{joiningTwin(), map[string]string{
			"1a": stale, "1b": storedStale, "2": leadersEnd, "3": waits, "4": made, "5": made, "6": storedStale,
			"7a": right, "7b": right, "7c": changed, "7d": notKept,
			"9a": stale, "9b": right, "9c": storedStale, "9d": storedStale, "9e": storedStale, "10": deadlocks,
		}},
		{recklessTwin(), map[string]string{
			"1a": right, "1b": storedStale, "2": right, "3": waits, "4": crashes, "5": hangs, "6": storedStale,
			"7a": notKept, "7b": notKept, "7c": notKept, "7d": notKept,
			"9a": right, "9b": right, "9c": storedStale, "9d": storedStale, "9e": storedStale, "10": recurses,
		}},
	} {
		t.Run(tc.twin.Name, func(t *testing.T) {
			t.Parallel()
			got := map[string]string{}
			for _, r := range Races() {
				if r.ID == "8" { // needs a server; see TestStalledCallsAreTimed
					continue
				}
				cells, err := play(t.Context(), &r, &Setting{Contender: &tc.twin, Command: self(t), Plays: 1})
				if err != nil {
					t.Fatalf("race %s: %v", r.ID, err)
				}
				for i, p := range r.Parts {
					got[p.ID] = cells[i].Text
				}
			}
			for _, id := range slices.Sorted(maps.Keys(tc.want)) {
				if got[id] != tc.want[id] {
					t.Errorf("%s: got %q, want %q", id, got[id], tc.want[id])
				}
			}
			if len(got) != len(tc.want) {
				t.Errorf("got %d verdicts, want %d", len(got), len(tc.want))
			}
		})
	}
}

func TestStalledCallsAreTimed(t *testing.T) {
	served := answer{value: newValue}
	for _, tc := range []struct {
		got   answer
		ok    bool
		took  time.Duration
		want  string
		right bool
	}{
		{served, true, 104 * time.Millisecond, "0.1 s", true},
		{served, true, 1100 * time.Millisecond, "1 s", false},
		{answer{err: errAbsent}, true, 104 * time.Millisecond, "error, 0.1 s", false},
		{answer{}, false, stallPatience, "over 10 s", false},
	} {
		if c := stallCell(tc.got, tc.ok, tc.took, time.Second); c.Text != tc.want || c.Right != tc.right {
			t.Errorf("%+v: got %+v, want %q and %v", tc.got, c, tc.want, tc.right)
		}
	}
}

func TestAfterAbnormalLoads(t *testing.T) {
	for _, tc := range []struct {
		a    aftermath
		want string
	}{
		{aftermath{gotError, []outcome{gotError, gotValue}, gotValue}, right},
		{aftermath{exited, []outcome{gotError}, gotValue}, right},
		{aftermath{gotError, []outcome{gotError}, hung}, stuck},
		{aftermath{gotError, []outcome{hung}, gotValue}, hangs},
		{aftermath{gotError, []outcome{gotOther}, gotValue}, made},
		{aftermath{exited, []outcome{exited}, gotValue}, ends},
		{aftermath{panicked, []outcome{gotError}, gotValue}, unrecovered},
	} {
		if got := afterwards(tc.a); got.Text != tc.want || got.Right != (tc.want == right) {
			t.Errorf("%+v: got %+v, want %q", tc.a, got, tc.want)
		}
	}
}

func TestSomeByChance(t *testing.T) {
	answers := func(all ...answer) (others []<-chan answer) {
		for _, a := range all {
			got := make(chan answer, 1)
			got <- a
			others = append(others, got)
		}
		return others
	}
	served, cancelled := answer{value: newValue}, answer{err: context.Canceled}
	if c := othersGot(answers(served, cancelled)); c.Text != leadersEnd || c.Note == "" {
		t.Errorf("got %+v, want the error of the leader, of some", c)
	}
	if c := othersGot(answers(cancelled, cancelled)); c.Text != leadersEnd || c.Note != "" {
		t.Errorf("got %+v, want the error of the leader, of all", c)
	}
	if c := afterwards(aftermath{gotError, []outcome{gotValue, exited}, gotValue}); c.Text != ends || c.Note == "" {
		t.Errorf("got %+v, want callers ended, some", c)
	}
}

func TestRacesWithoutACauseAreErrors(t *testing.T) {
	idle := Contender{Name: "idle", Texts: func(string, Source[string]) (*Cache[string], error) {
		return &Cache[string]{
			Get:    func(context.Context, string) (string, error) { return newValue, nil },
			Remove: func(context.Context, string) error { return nil },
			Close:  closed,
		}, nil
	}}
	if _, err := overlap(t.Context(), &Setting{Contender: &idle}, 1, true); !errors.Is(err, errNotStarted) {
		t.Errorf("got %v of a cache that never loads, want %v", err, errNotStarted)
	}
	if err := Child(t.Context(), nil, `{"Contender":"nobody"}`, os.Stdout); err == nil {
		t.Error("got no error of an unknown contender")
	}
}
