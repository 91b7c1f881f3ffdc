package stress_test

import (
	"os"
	"strings"
	"testing"
	"time"
)

// readsEverySecond is how many reads a run must have judged for each second it
// was meant to last; it goes on until it has.
const readsEverySecond = 6700

// length returns how long the run of larder lasts.
func length(t *testing.T) time.Duration {
	t.Helper()
	if text := os.Getenv("LARDER_STRESS"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			t.Fatalf("LARDER_STRESS: got %q, want a duration such as 30s", text)
		}
		return d
	}
	if testing.Short() {
		return 2 * time.Second
	}
	return 15 * time.Second
}

// A read that starts after a removal returned never sees what was removed, in
// any process, whoever is killed.
func TestNoStaleReads(t *testing.T) {
	d := length(t)
	want := int64(d.Seconds() * readsEverySecond)
	got, said := stress(t, "larder", d, func(c counts) bool {
		return c[stale] > 0 ||
			c[reads] >= want && c[joined] > 0 && c[joinsRefused] > 0 && c[fillsRefused] > 0 && c[unknown] > 0 &&
				c[overlapped] > 0 && c[outlived] > 0
	})
	if got[stale] != 0 {
		t.Errorf("got %d stale of %d reads, want none", got[stale], got[reads])
	}
	if said != "" {
		t.Errorf("the workers say:\n%s", said)
	}
}

// What the harness must catch, or finding nothing means nothing.
func TestTwinsAreCaught(t *testing.T) {
	for _, name := range []string{"naive", "joining", "unmarked"} {
		t.Run(name, func(t *testing.T) {
			_, said := stress(t, name, length(t)/10, func(c counts) bool { return c[stale] > 0 })
			wants := []string{"stale read of key ", "want at least ", "; seed ", " wrote version ", " loads version ", " got the stale version "}
			if name != "unmarked" { // there it may be that nobody ever did
				wants = append(wants, " removed what is older than version ")
			}
			for _, want := range wants {
				if !strings.Contains(said, want) {
					t.Errorf("the report lacks %q:\n%s", want, said)
				}
			}
			first, _, _ := strings.Cut(said, ";")
			t.Log(first)
		})
	}
}
