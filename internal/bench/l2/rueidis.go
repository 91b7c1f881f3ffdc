package l2

import (
	"context"

	"github.com/redis/rueidis"
)

func openRueidis(addr string) (*Client, error) {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}})
	if err != nil {
		return nil, err
	}
	return &Client{
		Name: Rueidis,
		Get: func(ctx context.Context, key string) ([]byte, bool, error) {
			value, err := c.Do(ctx, c.B().Get().Key(key).Build()).AsBytes()
			if rueidis.IsRedisNil(err) {
				return nil, false, nil
			}
			return value, err == nil, err
		},
		Set: func(ctx context.Context, key string, value []byte) error {
			return c.Do(ctx, c.B().Set().Key(key).Value(rueidis.BinaryString(value)).Px(TTL).Build()).Error()
		},
		Close: func() error { c.Close(); return nil },
	}, nil
}
