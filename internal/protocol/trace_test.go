package protocol_test

import (
	"strings"
	"testing"

	. "github.com/larder-go/larder/internal/protocol"
)

// A counterexample is printed as steps that can be read aloud, each with what
// it made of the key.
func TestTraceOfAMutant(t *testing.T) {
	got := trace(t, "join any flight").String()
	want := strings.TrimPrefix(`
606 states, 1358 steps between them, at most 7 deep: stale read
 1. in the beginning                                           absent
 2. R1 in P1 looks: miss                                       absent
 3. R1 in P1 begins a load                                     absent
 4. R1 in P1 LEASE: granted, #2                                lease #2
 5. R1 in P1 reads v1 from the source                          lease #2
 6. W1 commits v2                                              lease #2
 7. W1 INVALIDATE, and returns                                 absent
 8. R2 in P1 looks: miss                                       absent
 9. R2 in P1 joins a load that has read, gets v1               absent   <- stale read: a write of v2 had returned before the get began`, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Every trace ends with the step that breaks the property, and each step before
// it keeps both.
func TestTracesLeadToTheFault(t *testing.T) {
	for _, mu := range mutants() {
		lines := mu.check().Trace
		if len(lines) < 2 {
			t.Errorf("%s: no trace", mu.name)
			continue
		}
		for i, l := range lines {
			want := Kept
			if i == len(lines)-1 {
				want = mu.want
			}
			if l.Breaks != want || strings.Contains(l.String(), "%!") {
				t.Errorf("%s, step %d: %v breaks %v, want %v", mu.name, i+1, l, l.Breaks, want)
			}
		}
	}
}

// trace checks the mutant of that name.
func trace(t *testing.T, name string) *Result {
	t.Helper()
	for _, mu := range mutants() {
		if mu.name == name {
			return mu.check()
		}
	}
	t.Fatalf("no mutant %q", name)
	return nil
}
