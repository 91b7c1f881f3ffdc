package memory

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

// Lease asks for the right to fill key for at most ttl. See cache.Leaser. A
// cache holds a bounded number of leases; when that is reached it answers
// cache.LeaseRefused.
func (c *Cache) Lease(ctx context.Context, key string, ttl time.Duration) (cache.LeaseReply, error) {
	if err := c.check(ctx, key); err != nil {
		return cache.LeaseReply{}, opError("lease", key, err)
	}
	if err := checkLeaseTTL(ttl); err != nil {
		return cache.LeaseReply{}, opError("lease", key, err)
	}
	return c.lease(key, ttl), nil
}

// LeaseMany is Lease for many keys. A reply's Err says that its key is not one.
func (c *Cache) LeaseMany(ctx context.Context, keys []string, ttl time.Duration) ([]cache.LeaseReply, error) {
	if err := c.checkContext(ctx); err != nil {
		return nil, err
	}
	if err := checkLeaseTTL(ttl); err != nil {
		return nil, err
	}
	replies := make([]cache.LeaseReply, len(keys))
	for i, key := range keys {
		if err := cache.CheckKey(key); err != nil {
			replies[i].Err = opError("lease", key, err)
			continue
		}
		replies[i] = c.lease(key, ttl)
	}
	return replies, nil
}

// Extend lets a lease that stands last for another ttl. See cache.Leaser.
func (c *Cache) Extend(ctx context.Context, key string, lease cache.Lease, ttl time.Duration) (bool, error) {
	if err := c.check(ctx, key); err != nil {
		return false, opError("extend", key, err)
	}
	if err := checkLeaseTTL(ttl); err != nil {
		return false, opError("extend", key, err)
	}
	now := c.now()
	deadline := now + int64(min(ttl, cache.MaxTTL))
	stands := c.leases.extend(key, lease, now, deadline)
	if stands {
		c.sweeper.expect(deadline)
	}
	return stands, nil
}

// Release gives an unused lease back. See cache.Leaser.
func (c *Cache) Release(ctx context.Context, key string, lease cache.Lease) error {
	if err := c.check(ctx, key); err != nil {
		return opError("release", key, err)
	}
	c.leases.spend(key, lease, c.now())
	return nil
}

// lease looks for an entry and grants the lease in one step, so that no write
// comes between.
func (c *Cache) lease(key string, ttl time.Duration) (reply cache.LeaseReply) {
	moment := c.regions.moment()
	c.alter(key, func(old *node) *node {
		now := c.now()
		if old != nil && !expired(old, now) {
			reply.State = cache.LeaseFound
			return old
		}
		deadline := now + int64(min(ttl, cache.MaxTTL))
		reply = c.leases.grant(key, now, deadline)
		c.sweeper.expect(deadline)
		return old
	})
	reply.Moment = moment
	return reply
}

func checkLeaseTTL(ttl time.Duration) error {
	if ttl > 0 {
		return nil
	}
	return &cache.OptionError{Option: "Lease ttl", Value: ttl, Reason: "must be positive", Err: cache.ErrInvalidTTL}
}
