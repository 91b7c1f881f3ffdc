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
