package l2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// KeyCount is how many keys there are.
	KeyCount = 10_000
	// TTL is how long entries live.
	TTL = time.Hour
)

// Client is one way to use Redis. Get returns false for a miss.
type Client struct {
	Name  string
	Get   func(ctx context.Context, key string) (value []byte, found bool, err error)
	Set   func(ctx context.Context, key string, value []byte) error
	Close func() error
}

// Names of clients that others are compared with.
const (
	Larder  = "larder distributed.Cache"
	Plain   = "go-redis"
	Rueidis = "rueidis"
)

// Open connects one client of each kind to the server at addr. The caller
// closes them.
func Open(addr string) ([]*Client, error) {
	var clients []*Client
	var errs []error
	for _, open := range []func(addr string) (*Client, error){
		openLarder, openGoRedis, openAutoPipeline, openRueidis, openGoRedisCache,
	} {
		c, err := open(addr)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		clients = append(clients, c)
	}
	if len(errs) > 0 {
		return nil, errors.Join(append(errs, CloseAll(clients))...)
	}
	return clients, nil
}

// CloseAll closes the clients.
func CloseAll(clients []*Client) error {
	var errs []error
	for _, c := range clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Keys returns n keys of 16 bytes that only this client and size use: larder
// frames its values, so no two clients could read the same entry.
func Keys(client, size, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d-%04d-%08d", client, size, i)
	}
	return keys
}

// Fill stores a value of size bytes under every key.
func (c *Client) Fill(ctx context.Context, keys []string, size int) error {
	value := Payload(size)
	for _, key := range keys {
		if err := c.Set(ctx, key, value); err != nil {
			return fmt.Errorf("l2: fill for %s: %w", c.Name, err)
		}
	}
	return nil
}

// Payload returns a value of size bytes.
func Payload(size int) []byte { return bytes.Repeat([]byte("v"), size) }
