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
	//go:embed scripts/follow.lua
	followLua string
	//go:embed scripts/increment.lua
	incrementLua string

	//go:embed scripts/entry.lua
	entryLua string
	//go:embed scripts/item.lua
	itemLua string
	//go:embed scripts/replace.lua
	replaceLua string
	//go:embed scripts/add.lua
	addLua string
	//go:embed scripts/newer.lua
	newerLua string
	//go:embed scripts/remove.lua
	removeLua string
	//go:embed scripts/expire.lua
	expireLua string
	//go:embed scripts/lock.lua
	lockLua string
	//go:embed scripts/commit.lua
	commitLua string
	//go:embed scripts/unlock.lua
	unlockLua string

	//go:embed scripts/invalidate.lua
	invalidateLua string
	//go:embed scripts/begin_write.lua
	beginWriteLua string
	//go:embed scripts/end_write.lua
	endWriteLua string
)

var (
	storeScript     = transport.NewScript(storeLua)
	swapScript      = transport.NewScript(swapLua)
	extendScript    = transport.NewScript(extendLua)
	releaseScript   = transport.NewScript(releaseLua)
	followScript    = transport.NewScript(followLua)
	incrementScript = transport.NewScript(incrementLua)

	invalidateScript = transport.NewScript(invalidateLua)
)

// The scripts for windows, versions, locks and write marks begin with the one that finds out
// what is there.
var (
	touchScript   = transport.NewScript(entryLua + touchLua)
	itemScript    = transport.NewScript(entryLua + itemLua)
	replaceScript = transport.NewScript(entryLua + replaceLua)
	addScript     = transport.NewScript(entryLua + addLua)
	newerScript   = transport.NewScript(entryLua + newerLua)
	removeScript  = transport.NewScript(entryLua + removeLua)
	expireScript  = transport.NewScript(entryLua + expireLua)
	lockScript    = transport.NewScript(entryLua + lockLua)
	commitScript  = transport.NewScript(entryLua + commitLua)
	unlockScript  = transport.NewScript(entryLua + unlockLua)

	beginWriteScript = transport.NewScript(entryLua + beginWriteLua)
	endWriteScript   = transport.NewScript(entryLua + endWriteLua)
)
