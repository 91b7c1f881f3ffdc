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
	//go:embed scripts/judge.lua
	judgeLua string
	//go:embed scripts/take.lua
	takeLua string
	//go:embed scripts/stamp.lua
	stampLua string
	//go:embed scripts/outdate.lua
	outdateLua string
	//go:embed scripts/confirm.lua
	confirmLua string
)

var (
	storeScript     = transport.NewScript(storeLua)
	swapScript      = transport.NewScript(swapLua)
	extendScript    = transport.NewScript(extendLua)
	releaseScript   = transport.NewScript(releaseLua)
	followScript    = transport.NewScript(followLua)
	incrementScript = transport.NewScript(incrementLua)

	takeScript       = transport.NewScript(takeLua)
	invalidateScript = transport.NewScript(invalidateLua)
)

// The scripts for the generations of regions: on one server they run on all that
// a call needs at once, elsewhere on one key each.
var (
	stampScript   = transport.NewScript(stampLua)
	outdateScript = transport.NewScript(outdateLua)
	confirmScript = transport.NewScript(confirmLua)
)

// The scripts for windows, versions, locks and write marks begin with the one that
// finds out what is there. Those to which it matters whether a value still counts
// then ask for a verdict on one that depends on regions: see judge.lua.
var (
	touchScript      = transport.NewScript(entryLua + touchLua)
	itemScript       = transport.NewScript(entryLua + itemLua)
	beginWriteScript = transport.NewScript(entryLua + beginWriteLua)
	endWriteScript   = transport.NewScript(entryLua + endWriteLua)

	replaceScript = transport.NewScript(entryLua + judgeLua + replaceLua)
	addScript     = transport.NewScript(entryLua + judgeLua + addLua)
	newerScript   = transport.NewScript(entryLua + judgeLua + newerLua)
	removeScript  = transport.NewScript(entryLua + judgeLua + removeLua)
	expireScript  = transport.NewScript(entryLua + judgeLua + expireLua)
	lockScript    = transport.NewScript(entryLua + judgeLua + lockLua)
	commitScript  = transport.NewScript(entryLua + judgeLua + commitLua)
	unlockScript  = transport.NewScript(entryLua + judgeLua + unlockLua)
)
