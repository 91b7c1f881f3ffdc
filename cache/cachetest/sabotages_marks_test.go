package cachetest

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/larder-go/larder/cache"
)

// begins makes BeginWrite do something else.
func begins(f func(m *Model, ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error)) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.beginWrite = func(ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
			return f(m, ctx, key, ttl)
		}
	}
}

// ends makes EndWrite do something else.
func ends(f func(m *Model, ctx context.Context, key string, mark cache.WriteMark) error) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.endWrite = func(ctx context.Context, key string, mark cache.WriteMark) error { return f(m, ctx, key, mark) }
	}
}

// setsMarked changes the options of everything that ends a write.
func setsMarked(f func(*cache.EntryOptions)) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
			f(&o)
			return m.Set(ctx, key, value, o)
		}
		b.setMany = func(ctx context.Context, items []cache.Item) error {
			items = slices.Clone(items)
			for i := range items {
				f(&items[i].Options)
			}
			return m.SetMany(ctx, items)
		}
		b.setObject = func(ctx context.Context, key string, value any, o cache.EntryOptions) error {
			f(&o)
			return m.SetObject(ctx, key, value, o)
		}
	}
}

// removesBy makes every way to remove key do something after it.
func removesBy(f func(m *Model, key string, before *modelMark)) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		kept := func(key string) *modelMark {
			if mark := m.marks[key]; mark != nil {
				return &modelMark{mark.epoch, mark.writers}
			}
			return nil
		}
		b.remove = func(ctx context.Context, key string) error {
			before := kept(key)
			err := m.Remove(ctx, key)
			f(m, key, before)
			return err
		}
		b.removeMan = func(ctx context.Context, keys []string) error {
			before := kept("k")
			err := m.RemoveMany(ctx, keys)
			f(m, "k", before)
			return err
		}
		b.clear = func(ctx context.Context) error {
			before := kept("k")
			err := m.Clear(ctx)
			f(m, "k", before)
			return err
		}
	}
}

func markSabotages() []sabotage {
	same := [16]byte{7}
	return []sabotage{
		{"keeps the entry under a mark", begins(func(m *Model, ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
			e := m.entries[key]
			mark, err := m.BeginWrite(ctx, key, ttl)
			if e != nil {
				m.entries[key] = e
			}
			return mark, err
		}), []string{"Mark/KeyHasNoValue", "Mark/RunsOut"}},
		{"keeps the lease under a mark", begins(func(m *Model, ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
			l, leased := m.leases[key]
			mark, err := m.BeginWrite(ctx, key, ttl)
			if leased {
				m.leases[key] = l
			}
			return mark, err
		}), []string{"Mark/VoidsTheLease"}},
		{"marks nothing", begins(func(m *Model, ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
			mark, err := m.BeginWrite(ctx, key, ttl)
			delete(m.marks, key)
			return mark, err
		}), []string{
			"Mark/LeaseShowsTheEpoch", "Mark/IsForOneKey", "Mark/RunsOut", "Mark/StandsUntilTheLastHasEnded", "Mark/RemoveLetsItStand",
			"Mark/RemoveManyLetsItStand", "Mark/ClearLetsItStand", "Mark/TooManyWriters", "Mark/SetWithItStores", "Mark/SetManyWithThem",
			"Mark/SetObjectWithIt", "Mark/AddIsRefused", "Mark/OthersLeaveIt", "Mark/SetWithItTwice", "Mark/LoadsAreNotStored",
		}},
		{"has one writer for all", begins(func(m *Model, ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
			mark, err := m.BeginWrite(ctx, key, ttl)
			if err == nil {
				m.marks[key].writers[same] = m.marks[key].writers[mark.Writer]
				delete(m.marks[key].writers, mark.Writer)
				mark.Writer = same
			}
			return mark, err
		}), []string{"Mark/WritersAreUnguessable", "Mark/StandsUntilTheLastHasEnded", "Mark/TooManyWriters"}},
		{"marks all keys at once", begins(func(m *Model, ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
			for other := range m.entries {
				m.dropLocked(other)
			}
			return m.BeginWrite(ctx, key, ttl)
		}), []string{"Mark/IsForOneKey"}},
		{"marks for good", begins(func(m *Model, ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
			if ttl > 0 {
				ttl = 1000 * time.Hour
			}
			return m.BeginWrite(ctx, key, ttl)
		}), []string{"Mark/RunsOut", "Mark/LastsAsLongAsItsLastWriter"}},
		{"marks too briefly", begins(func(m *Model, ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
			return m.BeginWrite(ctx, key, ttl-time.Millisecond)
		}), []string{"Mark/RunsOut", "Mark/LastsAsLongAsItsLastWriter"}},
		{"marks for no ttl", begins(func(m *Model, ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
			return m.BeginWrite(ctx, key, max(ttl, time.Hour))
		}), []string{"Mark/BadInput"}},
		{"gives each writer an epoch", begins(func(m *Model, ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
			mark, err := m.BeginWrite(ctx, key, ttl)
			if err == nil {
				mark.Epoch = m.marks[key].epoch
			}
			return mark, err
		}), []string{"Mark/OverlapWithACrash", "Mark/EveryChangeIsAnotherEpoch"}},
		{"keeps the epoch", begins(func(m *Model, ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
			before := m.epochOf(key)
			mark, err := m.BeginWrite(ctx, key, ttl)
			if err == nil && before != [16]byte{} {
				m.marks[key].epoch = before
			}
			return mark, err
		}), []string{"Mark/OverlapStoresNothing", "Mark/EveryChangeIsAnotherEpoch"}},
		{"has room for any number of writers", begins(func(m *Model, ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
			mark, err := m.BeginWrite(ctx, key, ttl)
			if err == cache.ErrTooManyWriters {
				return cache.WriteMark{Writer: same}, nil
			}
			return mark, err
		}), []string{"Mark/TooManyWriters"}},
	}
}

func (m *Model) epochOf(key string) (epoch [16]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if mark := m.marks[key]; mark != nil {
		epoch = mark.epoch
	}
	return epoch
}

// endSabotages are about EndWrite and Set with a mark, and what else may befall a
// mark.
func endSabotages() []sabotage {
	return []sabotage{
		{"never ends a write", ends(func(*Model, context.Context, string, cache.WriteMark) error { return nil }), []string{
			"Mark/EndFreesTheKey", "Mark/EndAfterItRanOut", "Mark/EndsTwice", "Mark/StandsUntilTheLastHasEnded", "Mark/LockingNeedsForce",
			"Mark/BadInput", "Mark/LoadsAreNotStored",
		}},
		{"ends the writes of all", ends(func(m *Model, ctx context.Context, key string, mark cache.WriteMark) error {
			err := m.EndWrite(ctx, key, mark)
			delete(m.marks, key)
			return err
		}), []string{"Mark/StandsUntilTheLastHasEnded", "Mark/EveryChangeIsAnotherEpoch", "Mark/LastsAsLongAsItsLastWriter"}},
		{"ends only what is marked", ends(func(m *Model, ctx context.Context, key string, mark cache.WriteMark) error {
			if m.epochOf(key) == [16]byte{} {
				return nil
			}
			return m.EndWrite(ctx, key, mark)
		}), append(namesWith("Mark/DroppedBy"), "Mark/EndAfterItRanOut", "Mark/IsForOneKey", "Mark/LockingNeedsForce")},
		{"complains of a second EndWrite", ends(func(m *Model, ctx context.Context, key string, mark cache.WriteMark) error {
			if m.epochOf(key) == [16]byte{} {
				return cache.ErrNoEntry
			}
			return m.EndWrite(ctx, key, mark)
		}), []string{"Mark/EndsTwice"}},
		{"keeps the time of who has ended", ends(func(m *Model, ctx context.Context, key string, mark cache.WriteMark) error {
			var last time.Time
			if there := m.marks[key]; there != nil {
				last = there.writers[mark.Writer]
			}
			err := m.EndWrite(ctx, key, mark)
			if there := m.marks[key]; there != nil {
				for writer := range there.writers {
					there.writers[writer] = last
				}
			}
			return err
		}), []string{"Mark/LastsAsLongAsItsLastWriter"}},
		{"stores whatever the mark", setsMarked(func(o *cache.EntryOptions) { o.Mark = cache.WriteMark{} }), []string{
			"Mark/OverlapStoresNothing", "Mark/OverlapWithACrash", "Mark/SetAfterItRanOut", "Mark/SetWithItTwice", "Mark/RemoveLetsItStand",
			"Mark/SetManyWithThem", "Mark/SetObjectWithIt", "Mark/BadInput",
		}},
		{"never stores with a mark", setsMarked(func(o *cache.EntryOptions) {
			if o.Mark != (cache.WriteMark{}) {
				o.Mark.Epoch = [16]byte{1}
			}
		}), []string{"Mark/SetWithItStores", "Mark/SetWithItTwice", "Mark/SetManyWithThem", "Mark/SetObjectWithIt", "Mark/OthersLeaveIt"}},
		{"removes the mark", removesBy(func(m *Model, key string, _ *modelMark) { delete(m.marks, key) }),
			[]string{"Mark/RemoveLetsItStand", "Mark/RemoveManyLetsItStand", "Mark/ClearLetsItStand", "Mark/EveryChangeIsAnotherEpoch"}},
		{"removes around the mark", removesBy(func(m *Model, key string, before *modelMark) {
			if before != nil {
				m.marks[key] = before
			}
		}), []string{"Mark/RemoveLetsItStand", "Mark/RemoveManyLetsItStand", "Mark/ClearLetsItStand", "Mark/EveryChangeIsAnotherEpoch"}},
		{"grants leases under a mark", func(m *Model, b *broken) {
			b.lease = func(ctx context.Context, key string, ttl time.Duration) (cache.LeaseReply, error) {
				reply, err := m.Lease(ctx, key, ttl)
				if reply.State == cache.LeaseMarked {
					l := modelLease{until: time.Now().Add(ttl)}
					_, _ = rand.Read(l.token[:]) // never fails
					m.leases[key] = l
					reply = cache.LeaseReply{State: cache.LeaseGranted, Lease: l.token}
				}
				return reply, err
			}
		}, []string{"Mark/LoadsAreNotStored", "Mark/LeaseShowsTheEpoch", "Mark/RunsOut"}},
		{"stores in order over a mark", func(m *Model, b *broken) {
			b.setIfNewer = func(ctx context.Context, key string, value []byte, order uint64, o cache.EntryOptions) error {
				delete(m.marks, key)
				return m.SetIfNewer(ctx, key, value, order, o)
			}
		}, []string{"Mark/SetIfNewerIsRefused"}},
		{"adds over a mark", func(m *Model, b *broken) {
			b.add = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) (cache.Version, error) {
				delete(m.marks, key)
				return m.Add(ctx, key, value, o)
			}
		}, []string{"Mark/AddIsRefused"}},
		{"locks what is marked", takes(func(m *Model, ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
			return m.GetAndLock(ctx, key, ttl, cache.LockOptions{Force: true})
		}), []string{"Mark/LockingNeedsForce"}},
		{"releases a mark", func(m *Model, b *broken) {
			b.release = func(ctx context.Context, key string, lease cache.Lease) error {
				if m.epochOf(key) == lease {
					delete(m.marks, key)
				}
				return m.Release(ctx, key, lease)
			}
		}, []string{"Mark/OthersLeaveIt"}},
	}
}
