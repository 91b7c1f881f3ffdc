package distributed

import (
	_ "embed" // for the scripts

	"github.com/larder-go/larder/distributed/internal/transport"
)

// Every transition that is more than one plain command is one script on one
// key, so it is atomic and runs on a Cluster whatever the key's text. A script
// checks all it needs first and writes last, because Redis does not roll back.
// They use no library that a Redis look-alike may lack. Each says in its first
// lines which transition it makes.
var (
	//go:embed scripts/store.lua
	storeLua string
	//go:embed scripts/touch.lua
	touchLua string
	//go:embed scripts/swap.lua
	swapLua string
	//go:embed scripts/lease.lua
	leaseLua string
	//go:embed scripts/extend.lua
	extendLua string
	//go:embed scripts/release.lua
	releaseLua string
	//go:embed scripts/increment.lua
	incrementLua string
)

var (
	storeScript     = transport.NewScript(storeLua)
	touchScript     = transport.NewScript(touchLua)
	swapScript      = transport.NewScript(swapLua)
	extendScript    = transport.NewScript(extendLua)
	releaseScript   = transport.NewScript(releaseLua)
	incrementScript = transport.NewScript(incrementLua)
)
