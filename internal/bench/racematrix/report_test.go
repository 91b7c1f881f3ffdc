package racematrix

import (
	"slices"
	"strings"
	"testing"
)

func TestReportNumbersNotesAndExplainsWhatOccurs(t *testing.T) {
	column := func(name string, cells map[string]Cell) Column {
		return Column{Contender: Contender{Name: name, Use: "use of " + name}, Cells: cells, Redis: "7.0.1"}
	}
	m := &Matrix{[]Column{
		column("one", map[string]Cell{"1a": verdict(stale), "2": notApplicable("first"), "3": {Text: waits, Note: "second"}}),
		column("two", map[string]Cell{"2": notApplicable("first")}),
	}}
	report := m.String() + m.Facts()
	for _, want := range []string{
		"stale |", "n/a (1) | n/a (1) |", "waits (2) |", "1. first\n2. second\n", "- **stale**: ", "use of two", "7.0.1",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	if strings.Contains(report, "- **deadlocks**: ") {
		t.Errorf("the legend explains what does not occur:\n%s", report)
	}
}

func TestOnlyLarderHasToBeRight(t *testing.T) {
	m := &Matrix{[]Column{
		{Contender: Contender{Name: "peer"}, Cells: map[string]Cell{"1a": verdict(stale)}},
		{Contender: Contender{Name: "larder", Ours: true}, Cells: map[string]Cell{}},
	}}
	for _, p := range parts() {
		m.Columns[1].Cells[p.ID] = verdict(right)
	}
	if wrong := m.Wrong(); len(wrong) > 0 {
		t.Errorf("got %q, want none", wrong)
	}
	m.Columns[1].Cells["2"] = verdict(leadersEnd)
	if wrong := m.Wrong(); !slices.Equal(wrong, []string{"larder: 2: leader's error"}) {
		t.Errorf("got %q, want that of part 2", wrong)
	}
}

func TestPartsAndVerdictsAreTold(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Races() {
		for _, p := range r.Parts {
			if seen[p.ID] || !strings.HasPrefix(p.ID, r.ID) {
				t.Errorf("part %q of race %s is there twice, or has another race's id", p.ID, r.ID)
			}
			seen[p.ID] = true
		}
	}
	var told []string
	for _, entry := range legend() {
		told = append(told, entry[0])
	}
	for _, text := range []string{
		right, stale, storedStale, leadersEnd, waits, crashes, unrecovered, hangs,
		deadlocks, recurses, made, ends, stuck, changed, notKept, wrong, none,
	} {
		if !slices.Contains(told, text) {
			t.Errorf("the legend lacks %q", text)
		}
	}
}
