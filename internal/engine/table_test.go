package engine

import (
	"strconv"
	"testing"
)

// A bucket that more went past than it can count is never passed over again.
func TestABucketThatTooManyWentPast(t *testing.T) {
	const bucket, count = 5, 400
	hash, table := uint64(bucket)<<32|1, newTable[int](64)
	nodes := make([]*Node[int], count)
	for i := range nodes {
		nodes[i] = node(strconv.Itoa(i), i)
		nodes[i].hash = home(hash)
		table.insert(nodes[i], tagOf(hash))
	}
	last := nodes[count-1]
	for i, n := range nodes[:count-1] {
		table.remove(n)
		if table.find(hash, n.Key()) != nil || table.find(hash, last.Key()) != last {
			t.Fatalf("after %d were removed: got one of them, or the last one not", i+1)
		}
	}
}

// Tables are filled to seven eighths before they grow, and get smaller again.
func TestTablesAreAsLargeAsTheyNeedToBe(t *testing.T) {
	e := New(Options[int]{})
	const count = 50_000
	check := func(when string) {
		t.Helper()
		for i := range e.shards {
			s := &e.shards[i]
			buckets := len(s.table.Load().buckets)
			places := buckets * bucketSize
			if s.count > places-places/8 || buckets > 1 && s.count < places/8 {
				t.Errorf("%s: %d entries in %d places", when, s.count, places)
			}
		}
	}
	largest, fullest := 0, 0.0
	for i := range count {
		mustSet(t, e, node(strconv.Itoa(i), i))
		if s := &e.shards[0]; len(s.table.Load().buckets) > largest {
			largest = len(s.table.Load().buckets)
		} else if largest > 1 {
			fullest = max(fullest, float64(s.count)/float64(largest*bucketSize))
		}
	}
	check("full")
	if fullest < 0.85 {
		t.Errorf("tables grew when they were full to %.2f, want seven eighths", fullest)
	}
	for i := range count {
		e.Remove(strconv.Itoa(i))
	}
	check("empty")
}
