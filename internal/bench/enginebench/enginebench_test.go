package enginebench

import "testing"

func TestEverythingCanBeMeasured(t *testing.T) {
	order, samples, err := Hits(10, 2, 1)
	if err != nil || order[0] != "map" {
		t.Fatalf("got %v first and %v, want the map", order, err)
	}
	for _, name := range order {
		if samples[name].Median() <= 0 {
			t.Errorf("%s: got no time", name)
		}
	}
	sets, work, err := Sets(100, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	churn, err := Churn(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	heap := Heap(10_000)
	gc, _ := Collections(1000, 1)
	for _, name := range []string{"engine", "memory", "otter"} {
		if sets[name].Median() <= 0 || work[name].Median() <= 0 || churn[name].Median() <= 0 || gc[name].Median() <= 0 || heap[name] < 64 {
			t.Errorf("%s: got %v, %v, %v and %v, want figures", name, sets[name], churn[name], gc[name], heap[name])
		}
	}
}
