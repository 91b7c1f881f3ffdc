package protocol_test

import (
	"fmt"

	"github.com/larder-go/larder/internal/protocol"
)

// Cache-aside as it is usually written fills the key whatever has happened since
// the load began. One reader and one writer are enough to leave an old value in
// the cache.
func ExampleCheck() {
	naive := protocol.Larder()
	naive.Fill = func(_ protocol.Key, _ protocol.ID, v protocol.Value) protocol.Key {
		return protocol.Key{Kind: protocol.Filled, Value: v}
	}
	actors := protocol.Config{
		Readers: []int{0},
		Gets:    1,
		Writers: []protocol.Mode{protocol.Invalidates},
	}
	fmt.Println("naive:", protocol.Check(naive, actors).Breaks)
	fmt.Println("larder:", protocol.Check(protocol.Larder(), actors).Breaks)
	for _, line := range protocol.Check(naive, actors).Trace {
		fmt.Println("-", line)
	}
	// Output:
	// naive: stale rest
	// larder: kept
	// - in the beginning                                           absent
	// - R1 looks: miss                                             absent
	// - R1 begins a load                                           absent
	// - R1 LEASE: granted, #2                                      lease #2
	// - R1 reads v1 from the source                                lease #2
	// - W1 commits v2                                              lease #2
	// - W1 INVALIDATE, and returns                                 absent
	// - R1 FILL of v1 under #2: stored                             v1   <- stale rest: the source has v2, and nobody will tell the cache
}
