package archtest

// Layer is a folder of the module and what its packages may import of the rest
// of the module. Packages in one layer may import each other.
type Layer struct {
	Folder    string   // "" is the root package; sub-folders belong to it unless they are layers
	MayImport []string // the folders of other layers
	Why       string
}

// Layers is the import order: internal leaves, keys, cache, then the backends
// and regions beside each other, then the near cache, then patterns, then what
// ties it all together.
func Layers() []Layer {
	return []Layer{
		{"internal", nil,
			"internal packages are leaves, so that every other package can use them"},
		{"internal/archtest", nil,
			"the rules know the module by its import graph alone"},
		{"keys", nil,
			"keys are text; whoever builds one needs nothing else of larder"},
		{"cache", []string{"internal", "keys"},
			"the contract knows no backend, or backends could not be exchanged"},
		{"memory", []string{"internal", "keys", "cache"},
			"a backend knows the contract and no other backend"},
		{"distributed", []string{"internal", "keys", "cache"},
			"a backend knows the contract and no other backend"},
		{"region", []string{"internal", "keys", "cache"},
			"regions work on any backend"},
		{"distributed/near", []string{"internal", "keys", "cache", "memory", "distributed", "region"},
			"the near cache joins the backends and knows nothing above them"},
		{"queue", []string{"internal", "keys", "cache"},
			"a queue keeps bytes and shares no more than keys and errors with the cache"},
		{"distributed/queue", []string{"internal", "keys", "cache", "queue", "distributed"},
			"a queue on Redis moves its commands as the Redis backend does"},
		{"patterns", []string{"internal", "keys", "cache", "region", "queue"},
			"repositories work on any backend"},
		{"", []string{"internal", "keys", "cache", "memory", "distributed", "distributed/near", "region", "queue", "patterns"},
			"the root package opens any backend by its URL"},
	}
}

// Dependency is a module that this one may require, and the packages that may
// import it. Test support and tests may import any.
type Dependency struct {
	Module string
	Users  []string // folders
	Why    string
}

// Dependencies are all modules that go.mod may require directly. An importer of
// larder gets every one of them, so the list is short.
func Dependencies() []Dependency {
	return []Dependency{
		{"github.com/redis/go-redis/v9", []string{"", "distributed", "distributed/internal/failover", "distributed/internal/tracking", "distributed/internal/transport", "distributed/near", "distributed/queue"},
			"the Redis client; only the Redis backend and what opens it may know it"},
		{"github.com/vmihailenco/msgpack/v5", []string{"cache", "internal/msgscan", "internal/schema"},
			"the default codec; its types must not leak into any API"},
		{"github.com/vmihailenco/tagparser/v2", []string{"internal/msgscan", "internal/schema"},
			"reads struct tags as msgpack reads them; msgpack brings it along anyway"},
		{"golang.org/x/sync", []string{"distributed", "distributed/near", "patterns"},
			"errgroup and semaphore, where work runs in parallel under a bound"},

		{"github.com/stretchr/testify", nil, "for tests: only where plain testing reads worse"},
		{"github.com/alicebob/miniredis/v2", nil, "for tests: a Redis in the process, for machines without a redis-server"},
		{"pgregory.net/rapid", nil, "for tests: random operations against a model, shrunk to the least that fails"},
		{"github.com/anishathalye/porcupine", nil, "for tests: checks histories of concurrent calls for linearizability"},
		{"go.uber.org/goleak", nil, "for tests: every goroutine has an owner that ends it"},
	}
}
