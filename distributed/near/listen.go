package near

import (
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/distributed/internal/tracking"
)

// A heartbeat proves what was before the one before it, so contact is as old as
// two and a round trip when the next proof comes, and with eight in a bound a late
// one does no harm.
const (
	heartbeats   = 8
	longInterval = time.Second

	// longSilence is when a connection without an answer counts as lost, unless the
	// bound is shorter. Not sooner: what is held stays good if the server was only
	// slow, and the bound is kept anyway.
	longSilence = 2 * time.Second
)

// listen starts what tells of changes.
func listen(client redis.UniversalClient, o *Options, s signals) listener {
	return tracking.New(client, tracking.Options{
		Prefix:   o.Remote.Prefix,
		Interval: min(o.Bound/heartbeats, longInterval),
		Timeout:  min(o.Bound, longSilence),
		Channels: s.Channels,
		Events: tracking.Events{
			Changed: s.Changed, Flushed: s.Flushed, Contact: s.Contact, Lost: s.Lost, Message: s.Message,
		},
	})
}
