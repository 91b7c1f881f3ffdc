package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larder-go/larder/internal/bench"
	"github.com/larder-go/larder/internal/bench/racematrix"
)

const page = "../../../../docs/race-matrix.md"

// The published page is of these races, contenders and versions.
func TestPublishedPageIsCurrent(t *testing.T) {
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	wants := []string{head}
	for _, r := range racematrix.Races() {
		wants = append(wants, "- **"+r.ID+". "+r.Title+"**: "+r.Why+".\n")
		for _, p := range r.Parts {
			wants = append(wants, "| "+p.ID+" "+p.Question+" ")
		}
	}
	contenders := racematrix.Contenders()
	for _, c := range contenders {
		wants = append(wants, "| "+c.Name+" ", " "+c.Use+" |")
	}
	modules := bench.Collect("", racematrix.Modules(contenders)...).Modules
	if len(modules) == 0 {
		t.Error("got no versions of peers")
	}
	for _, m := range modules {
		wants = append(wants, "| "+m.Path+" ", " "+m.Version+" |\n")
	}
	for _, want := range wants {
		if !strings.Contains(string(content), want) {
			t.Errorf("it lacks %q; run go run ./internal/bench/cmd/racematrix -out docs/race-matrix.md", want)
		}
	}
}

func TestARaceLostIsAnError(t *testing.T) {
	cells := map[string]racematrix.Cell{}
	for _, r := range racematrix.Races() {
		for _, p := range r.Parts {
			cells[p.ID] = racematrix.Cell{Text: "right", Right: true}
		}
	}
	m := &racematrix.Matrix{Columns: []racematrix.Column{
		{Contender: racematrix.Contender{Name: "larder", Ours: true}, Cells: cells},
	}}
	out := filepath.Join(t.TempDir(), "out.md")
	if err := publish(m, out, io.Discard); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(out)
	if err != nil || !strings.HasPrefix(string(content), head) {
		t.Errorf("got %q and %v, want the page", content, err)
	}
	cells["6"] = racematrix.Cell{Text: "stored stale"}
	var shown strings.Builder
	if err := publish(m, "", &shown); !errors.Is(err, errLost) || !strings.Contains(err.Error(), "larder: 6: stored stale") {
		t.Errorf("got %v, want the race that was lost", err)
	}
	if !strings.Contains(shown.String(), "stored stale |") {
		t.Errorf("got\n%s\nwant the page all the same", shown.String())
	}
}

func TestUnknownFlagsAndContendersAreErrors(t *testing.T) {
	for _, args := range [][]string{{"-unknown"}, {"-child", "{}"}, {"-child", "no task"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q: got no error", args)
		}
	}
}
