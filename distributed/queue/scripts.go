package queue

import (
	_ "embed" // for the scripts

	"github.com/larder-go/larder/distributed/internal/transport"
)

// Every transition is one script on the keys of one partition, which are in one
// slot of a Cluster, so it is atomic. A script finds out what it needs first and
// writes last, because Redis does not roll back.
var (
	//go:embed scripts/slot.lua
	slotLua string
	//go:embed scripts/quick.lua
	quickLua string
	//go:embed scripts/enqueue.lua
	enqueueLua string
	//go:embed scripts/claim.lua
	claimLua string
	//go:embed scripts/settle.lua
	settleLua string
	//go:embed scripts/letter.lua
	letterLua string
	//go:embed scripts/next.lua
	nextLua string

	//go:embed scripts/peek.lua
	peekLua string
	//go:embed scripts/lookup.lua
	lookupLua string
	//go:embed scripts/dead.lua
	deadLua string
	//go:embed scripts/stats.lua
	statsLua string
	//go:embed scripts/before.lua
	beforeLua string
	//go:embed scripts/partitions.lua
	partitionsLua string
)

var (
	quickScript   = transport.NewScript(quickLua)
	enqueueScript = transport.NewScript(slotLua + enqueueLua)
	claimScript   = transport.NewScript(slotLua + claimLua)
	settleScript  = transport.NewScript(slotLua + settleLua)
	letterScript  = transport.NewScript(slotLua + letterLua)
	nextScript    = transport.NewScript(slotLua + nextLua)

	peekScript       = transport.NewScript(peekLua)
	lookupScript     = transport.NewScript(lookupLua)
	deadScript       = transport.NewScript(deadLua)
	statsScript      = transport.NewScript(statsLua)
	beforeScript     = transport.NewScript(beforeLua)
	partitionsScript = transport.NewScript(partitionsLua)
)
