package near

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// listen starts what tells of changes.
func listen(_ redis.UniversalClient, _ *Options, s signals) listener {
	return nobody{}
}

// nobody tells of nothing.
type nobody struct{}

func (nobody) Supported() (yes, known bool) { return false, true }
func (nobody) Close(context.Context) error  { return nil }

var errUnsupported = errors.New("larder: the server cannot tell of changes")
