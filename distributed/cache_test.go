package distributed_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

func TestKeysAreByteForByte(t *testing.T) {
	eachServer(t, func(t *testing.T, client redis.UniversalClient) {
		c := open(t, client, distributed.Options{Prefix: "master"})
		for _, key := range []string{
			"DistributedCacheKey", "a b", "\x00", "\r\n", "*?[]", "{tag}", "{}{a}", "{", "}", "\xff\xfe", ":", "../x", "e\u0301", "\u00e9",
		} {
			must(t, c.Set(t.Context(), key, []byte(key), forever))
			if n := client.Exists(t.Context(), "master"+key).Val(); n != 1 {
				t.Errorf("%q: a bare client does not see prefix + key", key)
			}
			wantValue(t, c, key, key)
		}
	})
}

func TestSetGetRemove(t *testing.T) {
	eachServer(t, func(t *testing.T, client redis.UniversalClient) {
		c := open(t, client, distributed.Options{})
		wantMiss(t, c, "k")
		for _, value := range [][]byte{{}, {0}, []byte("42"), []byte("hello"), bytes.Repeat([]byte("x"), 1<<20)} {
			must(t, c.Set(t.Context(), "k", value, cache.EntryOptions{}))
			wantValue(t, c, "k", string(value))
			got, found, err := c.AppendTo(t.Context(), []byte("before "), "k")
			if err != nil || !found || string(got) != "before "+string(value) {
				t.Fatalf("AppendTo: got %d bytes, %v, %v", len(got), found, err)
			}
		}
		must(t, c.Remove(t.Context(), "k"))
		wantMiss(t, c, "k")
		must(t, c.Remove(t.Context(), "k"))
		must(t, c.Refresh(t.Context(), "k"))
	})
}

func TestCounter(t *testing.T) {
	eachServer(t, func(t *testing.T, client redis.UniversalClient) {
		c := open(t, client, distributed.Options{})
		for _, step := range []struct{ delta, want int64 }{{0, 0}, {5, 5}, {-7, -2}, {1<<62 + 3, 1<<62 + 1}, {1, 1<<62 + 2}} {
			n, err := c.Increment(t.Context(), "n", step.delta, cache.EntryOptions{TTL: time.Minute})
			if err != nil || n != step.want {
				t.Fatalf("Increment(%d): got %d, %v, want %d", step.delta, n, err, step.want)
			}
		}
		if n, found, err := c.Count(t.Context(), "n"); err != nil || !found || n != 1<<62+2 {
			t.Fatalf("Count: got %d, %v, %v", n, found, err)
		}
		_, err := c.Increment(t.Context(), "n", 1<<62, cache.EntryOptions{})
		wantErr(t, err, cache.ErrOverflow)
		if got := client.Get(t.Context(), "n").Val(); got != fmt.Sprint(1<<62+2) {
			t.Errorf("after the overflow a bare client sees %s", got)
		}
		_, _, err = c.Get(t.Context(), "n")
		wantErr(t, err, cache.ErrWrongType)
	})
}

func TestLease(t *testing.T) {
	eachServer(t, func(t *testing.T, client redis.UniversalClient) {
		c := open(t, client, distributed.Options{})
		mine, err := c.Lease(t.Context(), "k", time.Minute)
		if err != nil || mine.State != cache.LeaseGranted {
			t.Fatalf("got %+v, %v, want granted", mine, err)
		}
		wantMiss(t, c, "k")
		other, err := c.Lease(t.Context(), "k", time.Minute)
		if err != nil || other.State != cache.LeaseBusy || other.Lease != mine.Lease {
			t.Fatalf("got %+v, %v, want busy with the first lease", other, err)
		}
		must(t, c.Set(t.Context(), "k", []byte("v"), cache.EntryOptions{Lease: mine.Lease}))
		wantValue(t, c, "k", "v")
		wantErr(t, c.Set(t.Context(), "k", []byte("w"), cache.EntryOptions{Lease: mine.Lease}), cache.ErrLeaseLost)
		found, err := c.Lease(t.Context(), "k", time.Minute)
		if err != nil || found.State != cache.LeaseFound {
			t.Fatalf("got %+v, %v, want found", found, err)
		}
	})
}
