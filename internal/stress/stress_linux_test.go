package stress_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// readsEverySecond is how many reads a run must have judged for each second it
// was meant to last; it goes on until it has.
const readsEverySecond = 16700

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
	return 12 * time.Second
}

// A read that starts after a removal or an expiration returned never sees what
// was removed or expired, in any process, whoever is killed.
func TestNoStaleReads(t *testing.T) {
	d := length(t)
	want := int64(d.Seconds() * readsEverySecond)
	got, said := stress(t, "larder", d, func(c counts) bool {
		return c[stale] > 0 ||
			c[reads] >= want && c[joined] > 0 && c[joinsRefused] > 0 && c[fillsRefused] > 0 && c[unknown] > 0 &&
				c[overlapped] > 0 && c[outlived] > 0 && len(unfair(c)) == 0
	})
	if got[stale] != 0 {
		t.Errorf("got %d stale of %d reads, want none", got[stale], got[reads])
	}
	if said != "" {
		t.Errorf("the workers say:\n%s", said)
	}
	for _, u := range unfair(got) {
		t.Error(u)
	}
}

// unfair tells what a run has seen too little of.
func unfair(c counts) (all []string) {
	for _, share := range []struct {
		what      string
		part, all count
		oneIn     int64
	}{
		{"reads in regions", regionalReads, reads, 4},
		{"removals", removals, writes, 5},
		{"writes under a mark", marked, writes, 5},
		{"expirations", expiries, writes, 5},
		{"expirations of keys", ofKeys, expiries, 4},
		{"expirations of regions", ofRegions, expiries, 4},
		{"expirations of all", ofAll, expiries, 100},
		{"writes that the cache was told of", told, writes, 2},
	} {
		if c[share.part]*share.oneIn < c[share.all] {
			all = append(all, fmt.Sprintf("got %d %s of %d, want at least one in %d", c[share.part], share.what, c[share.all], share.oneIn))
		}
	}
	return all
}

// What the harness must catch, or finding nothing means nothing.
func TestTwinsAreCaught(t *testing.T) {
	for name, kind := range map[string]string{"naive": "", "joining": "plain ", "unmarked": "", "joining regions": "regional ", "stamping": "regional "} {
		t.Run(name, func(t *testing.T) {
			_, said := stress(t, name, length(t)/15, func(c counts) bool { return c[stale] > 0 })
			wants := []string{"stale read of " + kind, " key ", "want at least ", "; seed ", " wrote version ", " loads version ", " got the stale version "}
			if name != "unmarked" { // there it may be that nobody ever did
				wants = append(wants, " what is older than version ")
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
