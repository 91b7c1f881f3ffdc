package near

import (
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/distributed/internal/tracking"
)

// listen starts what tells of changes.
func listen(client redis.UniversalClient, o *Options, s signals) listener {
	return tracking.New(client, tracking.Options{
		Prefix:   o.Remote.Prefix,
		Interval: o.Bound / heartbeats,
		Channels: s.Channels,
		Events: tracking.Events{
			Changed: s.Changed, Flushed: s.Flushed, Contact: s.Contact, Lost: s.Lost, Message: s.Message,
		},
	})
}
