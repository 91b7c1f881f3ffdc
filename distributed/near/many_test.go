package near

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
)

// asked returns how many commands the server has been sent.
func (r *rig) asked() int { return r.mini.CommandCount() }

func TestManyReadsWhatIsHeldAndFetchesTheRest(t *testing.T) {
	for _, mode := range []Mode{Bounded, Validate} {
		t.Run(mode.String(), func(t *testing.T) {
			r := newRig(t, Options{Mode: mode})
			key := func(id string) string { return id }
			load := func(_ context.Context, ids []string, _ *cache.Entry) (map[string]string, error) {
				t.Errorf("load of %v", ids)
				return nil, nil
			}
			r.hold("held", "1", cache.EntryOptions{})
			r.write("remote", "2", cache.EntryOptions{})
			r.write("in region", "3", inRegion("x"))
			want := map[string]string{"held": "1", "remote": "2", "in region": "3"}
			for range 2 {
				got, err := cache.GetOrCreateMany(r.ctx, r.names, []string{"held", "remote", "in region"}, key, load)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("GetOrCreateMany = %v, %v, want %v", got, err, want)
				}
			}
			for id := range want {
				r.wantHeld(id, true)
			}
			before := r.asked()
			if _, err := cache.GetOrCreateMany(r.ctx, r.names, []string{"held", "remote", "in region"}, key, load); err != nil {
				t.Error(err)
			}
			if got := r.asked() - before; mode == Bounded && got != 0 {
				t.Errorf("%d commands for what is held, want none", got)
			}
			r.expireElsewhere(cache.RegionToken("x"))
			r.changed(generationOfX)
			got, err := cache.GetOrCreateMany(r.ctx, r.names, []string{"held", "in region"}, key, func(_ context.Context, ids []string, _ *cache.Entry) (map[string]string, error) {
				return map[string]string{"in region": "new"}, nil
			})
			if want := map[string]string{"held": "1", "in region": "new"}; err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("GetOrCreateMany = %v, %v, want %v", got, err, want)
			}
		})
	}
}

func TestManyIsRefusedWhatChanged(t *testing.T) {
	r := newRig(t, Options{})
	r.write("a", "old", cache.EntryOptions{})
	r.write("b", "old", cache.EntryOptions{})
	fetched, err := r.near.FetchMany(r.ctx, []string{"a", "absent", "", "b"})
	if err != nil || !fetched[0].Found || fetched[1].Found || !errors.Is(fetched[2].Err, cache.ErrInvalidKey) || !fetched[3].Found {
		t.Fatalf("FetchMany = %+v, %v", fetched, err)
	}
	r.changed("a")
	r.near.PutNear("a", "old", fetched[0].Ticket)
	r.near.PutNear("b", "old", fetched[3].Ticket)
	r.wantHeld("a", false)
	r.wantHeld("b", true)
}

func TestManyOfAnotherType(t *testing.T) {
	r := newRig(t, Options{})
	r.hold("k", "v", cache.EntryOptions{TTL: time.Minute})
	numbers := cache.NewTyped[int](r.near, nil)
	got, err := cache.GetOrCreateMany(r.ctx, numbers, []string{"k"}, func(id string) string { return id },
		func(context.Context, []string, *cache.Entry) (map[string]int, error) {
			return map[string]int{"k": 7}, nil
		})
	if err != nil || got["k"] != 7 {
		t.Errorf("GetOrCreateMany = %v, %v, want what was loaded", got, err)
	}
}
