package cache_test

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
)

type stock struct {
	Name string
	Left int
}

// versionedKinds are the caches on which typed values have versions: as objects,
// and encoded.
var versionedKinds = []struct {
	name string
	open func(t testing.TB) cache.Cache
}{
	{"memory", func(t testing.TB) cache.Cache { return openMemory(t) }},
	{"memory prefixed", func(t testing.TB) cache.Cache { return cachetest.Prefixed(openMemory(t), "p:") }},
	{"redis", func(t testing.TB) cache.Cache { return openRedis(t) }},
}

func onVersioned(t *testing.T, run func(t *testing.T, c cache.Cache)) {
	t.Helper()
	for _, kind := range versionedKinds {
		t.Run(kind.name, func(t *testing.T) { run(t, kind.open(t)) })
	}
}

func TestTypedVersions(t *testing.T) {
	onVersioned(t, func(t *testing.T, c cache.Cache) {
		ctx := t.Context()
		v := typed[stock](t, c, nil)
		if item, found, err := v.GetItem(ctx, "k"); found || err != nil || !reflect.DeepEqual(item, cache.Versioned[stock]{}) {
			t.Errorf("of nothing: got %+v, %v, %v", item, found, err)
		}
		first, err := v.Add(ctx, "k", stock{"radio", 100}, cache.EntryOptions{TTL: time.Hour})
		wantErr(t, err, nil)
		_, err = v.Add(ctx, "k", stock{}, cache.EntryOptions{})
		wantErr(t, err, cache.ErrExists)
		item, found, err := v.GetItem(ctx, "k")
		if !found || err != nil || item.Value != (stock{"radio", 100}) || item.Version != first || item.TTL > time.Hour || item.TTL < time.Hour-time.Minute {
			t.Errorf("got %+v, %v, %v", item, found, err)
		}
		second, err := v.CompareAndSet(ctx, "k", stock{"radio", 90}, first, cache.EntryOptions{})
		wantErr(t, err, nil)
		_, err = v.CompareAndSet(ctx, "k", stock{"radio", 95}, first, cache.EntryOptions{})
		wantErr(t, err, cache.ErrVersionMismatch)
		_, err = v.CompareAndSet(ctx, "k", stock{}, cache.Version{}, cache.EntryOptions{})
		wantErr(t, err, cache.ErrInvalidVersion)

		item, newer, found, err := v.GetIfNewer(ctx, "k", first)
		if !newer || !found || err != nil || item.Value.Left != 90 || item.Version != second {
			t.Errorf("GetIfNewer of an older one: got %+v, %v, %v, %v", item, newer, found, err)
		}
		item, newer, found, err = v.GetIfNewer(ctx, "k", second)
		if newer || !found || err != nil || item.Value != (stock{}) || item.Version != second {
			t.Errorf("GetIfNewer of the same: got %+v, %v, %v, %v", item, newer, found, err)
		}
		if _, newer, found, err = v.GetIfNewer(ctx, "none", second); newer || found || err != nil {
			t.Errorf("GetIfNewer of nothing: got %v, %v, %v", newer, found, err)
		}
		if removed, err := v.RemoveVersion(ctx, "k", first); removed || err != nil {
			t.Errorf("RemoveVersion of an older one: got %v, %v", removed, err)
		}
		if removed, err := v.RemoveVersion(ctx, "k", second); !removed || err != nil {
			t.Errorf("RemoveVersion: got %v, %v", removed, err)
		}
	})
}

func TestTypedSetIfNewer(t *testing.T) {
	onVersioned(t, func(t *testing.T, c cache.Cache) {
		ctx := t.Context()
		v := typed[stock](t, c, nil)
		wantErr(t, v.SetIfNewer(ctx, "k", stock{"radio", 5}, 5, cache.EntryOptions{}), nil)
		err := v.SetIfNewer(ctx, "k", stock{"radio", 4}, 4, cache.EntryOptions{})
		var outdated *cache.OutdatedError
		if !errors.Is(err, cache.ErrOutdated) || !errors.As(err, &outdated) || outdated.Current != 5 {
			t.Errorf("of something older: got %v", err)
		}
		wantErr(t, v.SetIfNewer(ctx, "k", stock{"same", 5}, 5, cache.EntryOptions{}), nil)
		wantErr(t, v.SetIfNewer(ctx, "k", stock{}, 0, cache.EntryOptions{}), cache.ErrInvalidVersion)
		if item, _, err := v.GetItem(ctx, "k"); err != nil || item.Value != (stock{"radio", 5}) || item.Order != 5 {
			t.Errorf("got %+v, %v", item, err)
		}
	})
}

func TestTypedLocks(t *testing.T) {
	onVersioned(t, func(t *testing.T, c cache.Cache) {
		ctx := t.Context()
		v := typed[stock](t, c, nil)
		_, _, err := v.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
		wantErr(t, err, cache.ErrNoEntry)
		item, handle, err := v.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{Force: true})
		if err != nil || item.Value != (stock{}) || item.Version != (cache.Version{}) || !item.Locked || item.Fence == 0 {
			t.Errorf("of nothing, by force: got %+v, %v", item, err)
		}
		version, err := v.PutAndUnlock(ctx, "k", stock{"radio", 100}, handle, cache.EntryOptions{})
		wantErr(t, err, nil)
		next, handle, err := v.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
		if err != nil || next.Value != (stock{"radio", 100}) || next.Version != version || next.Fence <= item.Fence {
			t.Errorf("got %+v after token %d, %v", next, item.Fence, err)
		}
		_, _, err = v.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{Force: true})
		wantErr(t, err, cache.ErrLocked)
		_, err = v.PutAndUnlock(ctx, "k", stock{}, cache.LockHandle{1}, cache.EntryOptions{})
		wantErr(t, err, cache.ErrInvalidHandle)
		wantErr(t, v.ResetTTL(ctx, "k", time.Hour), nil)
		wantErr(t, v.Unlock(ctx, "k", handle, 0), nil)
		wantErr(t, v.Unlock(ctx, "k", handle, 0), cache.ErrNotLocked)
		_, handle, err = v.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
		wantErr(t, err, nil)
		if removed, err := v.RemoveLocked(ctx, "k", handle); !removed || err != nil {
			t.Errorf("RemoveLocked: got %v, %v", removed, err)
		}
		_, _, err = v.GetAndLock(ctx, "k", 0, cache.LockOptions{})
		wantErr(t, err, cache.ErrInvalidTTL)
	})
}

// A negative entry, and one of another type, is no value, but it is there: its
// version replaces it.
func TestTypedVersionsOfWhatIsNoValue(t *testing.T) {
	onVersioned(t, func(t *testing.T, c cache.Cache) {
		ctx := t.Context()
		v := typed(t, c, &cache.TypedOptions[stock]{NegativeTTL: time.Hour})
		_, err := v.GetOrCreateExclusive(ctx, "negative", func(context.Context, *cache.Entry) (stock, error) {
			return stock{}, cache.ErrNotFound
		})
		wantErr(t, err, cache.ErrNotFound)
		wantErr(t, typed[int](t, c, nil).Set(ctx, "foreign", 7, cache.EntryOptions{}), nil)
		for key, want := range map[string]error{"negative": cache.ErrNotFound, "foreign": nil} {
			item, found, err := v.GetItem(ctx, key)
			if found || !errors.Is(err, want) || item.Version == (cache.Version{}) || item.Value != (stock{}) {
				t.Fatalf("%s: got %+v, %v, %v", key, item, found, err)
			}
			_, newer, found, err := v.GetIfNewer(ctx, key, cache.Version{1})
			if newer || found || !errors.Is(err, want) {
				t.Errorf("%s: GetIfNewer: got %v, %v, %v", key, newer, found, err)
			}
			_, err = v.Add(ctx, key, stock{}, cache.EntryOptions{})
			wantErr(t, err, cache.ErrExists)
			locked := map[bool]error{true: cache.ErrNotFound, false: cache.ErrNoEntry}[want != nil]
			_, _, err = v.GetAndLock(ctx, key, time.Minute, cache.LockOptions{})
			wantErr(t, err, locked)
			forced, handle, err := v.GetAndLock(ctx, key, time.Minute, cache.LockOptions{Force: true}) // the lock before was given back
			if err != nil || forced.Version != (cache.Version{}) || !forced.Locked || forced.Fence == 0 {
				t.Errorf("%s: by force: got %+v, %v", key, forced, err)
			}
			wantErr(t, v.Unlock(ctx, key, handle, 0), nil)
			_, err = v.CompareAndSet(ctx, key, stock{"radio", 1}, item.Version, cache.EntryOptions{})
			wantErr(t, err, nil)
			if got, found, err := v.Get(ctx, key); got.Left != 1 || !found || err != nil {
				t.Errorf("%s: got %+v, %v, %v", key, got, found, err)
			}
		}
	})
}

// nil is a value, whatever the cache holds values as.
func TestTypedVersionsOfNil(t *testing.T) {
	onVersioned(t, func(t *testing.T, c cache.Cache) {
		ctx := t.Context()
		check := func(found bool, null bool, err error) {
			t.Helper()
			if !found || !null || err != nil {
				t.Errorf("got found %v, nil %v, %v", found, null, err)
			}
		}
		pointers := typed[*stock](t, c, nil)
		_, err := pointers.Add(ctx, "pointer", nil, cache.EntryOptions{})
		wantErr(t, err, nil)
		p, found, err := pointers.GetItem(ctx, "pointer")
		check(found, p.Value == nil, err)
		anything := typed[any](t, c, nil)
		_, err = anything.Add(ctx, "any", nil, cache.EntryOptions{})
		wantErr(t, err, nil)
		a, found, err := anything.GetItem(ctx, "any")
		check(found, a.Value == nil, err)
		wantErr(t, anything.SetIfNewer(ctx, "any", nil, 1, cache.EntryOptions{}), nil)
	})
}

// A write by version is a write: loads in flight are not stored.
func TestTypedChangesEndLoads(t *testing.T) {
	onVersioned(t, func(t *testing.T, c cache.Cache) {
		ctx := t.Context()
		v := typed[stock](t, c, nil)
		for key, write := range map[string]func(key string) error{
			"add": func(key string) error { _, err := v.Add(ctx, key, stock{"new", 1}, cache.EntryOptions{}); return err },
			"order": func(key string) error {
				return v.SetIfNewer(ctx, key, stock{"new", 1}, 1, cache.EntryOptions{})
			},
			"update": func(key string) error {
				_, err := v.Update(ctx, key, func(stock, bool) (stock, error) { return stock{"new", 1}, nil }, cache.UpdateOptions{})
				return err
			},
		} {
			began, release := make(chan struct{}, 3), make(chan struct{})
			done := make(chan stock)
			var source atomic.Value
			source.Store(stock{"stale", 0})
			go func() {
				got, _ := v.GetOrCreateExclusive(ctx, key, func(context.Context, *cache.Entry) (stock, error) {
					read := source.Load().(stock) // a load that begins after the write is sent back by nobody
					began <- struct{}{}
					<-release
					return read, nil
				})
				done <- got
			}()
			<-began
			source.Store(stock{"new", 1})
			wantErr(t, write(key), nil)
			close(release)
			if got := <-done; got.Name != "new" {
				t.Errorf("%s: the caller who waited got %+v", key, got)
			}
			if got, _, err := v.Get(ctx, key); got.Name != "new" || err != nil {
				t.Errorf("%s: got %+v, %v", key, got, err)
			}
		}
	})
}

func TestTypedChangesNeedCapabilities(t *testing.T) {
	ctx := t.Context()
	v := typed[stock](t, newFour(), nil)
	update := func(stock, bool) (stock, error) { return stock{}, nil }
	for name, call := range changeCalls(v, update) {
		if err := call(ctx); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: got %v, want ErrUnsupported", name, err)
		}
	}
	memory := typed[stock](t, openMemory(t), nil)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for name, call := range changeCalls(memory, update) {
		wantErr(t, call(nil), cache.ErrNilContext)
		if err := call(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want the context's error", name, err)
		}
	}
	bad := typed(t, openMemory(t), &cache.TypedOptions[stock]{LoadTimeout: -1})
	for name, call := range changeCalls(bad, update) {
		if err := call(ctx); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("%s: got %v, want ErrInvalidConfig", name, err)
		}
	}
}

// changeCalls is each call that changes typed entries, or reads them to do so.
func changeCalls(v *cache.Typed[stock], update func(stock, bool) (stock, error)) map[string]func(context.Context) error {
	opts := cache.EntryOptions{}
	handle, version := cache.LockHandle{1}, cache.Version{1}
	return map[string]func(context.Context) error{
		"GetItem":    func(ctx context.Context) error { _, _, err := v.GetItem(ctx, "k"); return err },
		"GetIfNewer": func(ctx context.Context) error { _, _, _, err := v.GetIfNewer(ctx, "k", version); return err },
		"CompareAndSet": func(ctx context.Context) error {
			_, err := v.CompareAndSet(ctx, "k", stock{}, version, opts)
			return err
		},
		"Add":           func(ctx context.Context) error { _, err := v.Add(ctx, "k", stock{}, opts); return err },
		"RemoveVersion": func(ctx context.Context) error { _, err := v.RemoveVersion(ctx, "k", version); return err },
		"SetIfNewer":    func(ctx context.Context) error { return v.SetIfNewer(ctx, "k", stock{}, 1, opts) },
		"GetAndLock": func(ctx context.Context) error {
			_, _, err := v.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{})
			return err
		},
		"PutAndUnlock": func(ctx context.Context) error { _, err := v.PutAndUnlock(ctx, "k", stock{}, handle, opts); return err },
		"Unlock":       func(ctx context.Context) error { return v.Unlock(ctx, "k", handle, 0) },
		"RemoveLocked": func(ctx context.Context) error { _, err := v.RemoveLocked(ctx, "k", handle); return err },
		"ResetTTL":     func(ctx context.Context) error { return v.ResetTTL(ctx, "k", time.Minute) },
		"Update": func(ctx context.Context) error {
			_, err := v.Update(ctx, "k", update, cache.UpdateOptions{})
			return err
		},
		"UpdateLocked": func(ctx context.Context) error {
			_, err := v.UpdateLocked(ctx, "k", func(_ context.Context, s stock, found bool, _ uint64) (stock, error) {
				return update(s, found)
			}, cache.UpdateOptions{})
			return err
		},
	}
}

// Switching caching off does not switch off what is about the entry itself.
func TestTypedChangesWhileDisabled(t *testing.T) {
	v := typed[stock](t, openMemory(t), nil)
	ctx := cache.Disabled(t.Context())
	version, err := v.Add(ctx, "k", stock{"radio", 1}, cache.EntryOptions{})
	wantErr(t, err, nil)
	if item, found, err := v.GetItem(ctx, "k"); item.Version != version || !found || err != nil {
		t.Errorf("got %+v, %v, %v", item, found, err)
	}
}

func wantErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got error %v, want %v", got, want)
	}
}
