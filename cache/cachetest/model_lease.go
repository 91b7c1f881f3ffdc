package cachetest

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/larder-go/larder/cache"
)

// standsLocked reports whether lease is the one in charge of key.
func (m *Model) standsLocked(key string, lease cache.Lease) bool {
	l, ok := m.leases[key]
	return ok && l.token == lease && time.Now().Before(l.until)
}

// Lease implements cache.Leaser.
func (m *Model) Lease(ctx context.Context, key string, ttl time.Duration) (cache.LeaseReply, error) {
	if err := m.begin(ctx, key); err != nil {
		return cache.LeaseReply{}, err
	}
	defer m.mu.Unlock()
	reply := m.leaseLocked(key, ttl)
	reply.Moment = m.momentLocked()
	return reply, nil
}

func (m *Model) leaseLocked(key string, ttl time.Duration) cache.LeaseReply {
	now := time.Now()
	if m.findLocked(key) != nil {
		return cache.LeaseReply{State: cache.LeaseFound}
	}
	if m.lockedLocked(key) {
		return cache.LeaseReply{State: cache.LeaseRefused}
	}
	if mark := m.markLocked(key); mark != nil {
		return cache.LeaseReply{State: cache.LeaseMarked, Lease: mark.epoch}
	}
	if l, ok := m.leases[key]; ok && now.Before(l.until) {
		return cache.LeaseReply{State: cache.LeaseBusy, Lease: l.token}
	}
	l := modelLease{until: now.Add(ttl)}
	_, _ = rand.Read(l.token[:]) // never fails
	m.leases[key] = l
	return cache.LeaseReply{State: cache.LeaseGranted, Lease: l.token}
}

// LeaseMany implements cache.Leaser.
func (m *Model) LeaseMany(ctx context.Context, keys []string, ttl time.Duration) ([]cache.LeaseReply, error) {
	if err := m.whole(ctx); err != nil {
		return nil, err
	}
	replies := make([]cache.LeaseReply, len(keys))
	for i, key := range keys {
		reply, err := m.Lease(ctx, key, ttl)
		reply.Err = err
		replies[i] = reply
	}
	return replies, nil
}

// Extend implements cache.Leaser.
func (m *Model) Extend(ctx context.Context, key string, lease cache.Lease, ttl time.Duration) (bool, error) {
	if err := m.begin(ctx, key); err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	if !m.standsLocked(key, lease) {
		return false, nil
	}
	m.leases[key] = modelLease{lease, time.Now().Add(ttl)}
	return true, nil
}

// Release implements cache.Leaser.
func (m *Model) Release(ctx context.Context, key string, lease cache.Lease) error {
	if err := m.begin(ctx, key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if m.standsLocked(key, lease) {
		delete(m.leases, key)
	}
	return nil
}
