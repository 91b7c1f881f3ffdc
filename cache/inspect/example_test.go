package inspect_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/inspect"
	"github.com/larder-go/larder/memory"
	"github.com/larder-go/larder/region"
)

// A service mounts the inspector beside its own pages, for its operators only.
func Example() {
	ctx := context.Background()
	inspector, err := inspect.New(&inspect.Options{
		Authorize: func(r *http.Request) bool {
			user, password, _ := r.BasicAuth()
			return user == "operator" && password == "of the example"
		},
	})
	if err != nil {
		panic(err)
	}
	defer inspector.Close(ctx)

	products, err := memory.New(&memory.Options{Observer: inspector.ObserverOf("products")})
	if err != nil {
		panic(err)
	}
	defer products.Close(ctx)
	regions, err := region.New(products)
	if err != nil {
		panic(err)
	}
	prices := regions.Named("prices")
	names := cache.NewTyped[string](products, nil)
	if err := inspector.Add(inspect.Source{
		Name: "products", Cache: products, Explain: names.Explain,
		Regions: []inspect.Region{{Name: "prices", Token: prices.Token()}},
	}); err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/larder/", inspector)

	look := func(user string) int {
		r := httptest.NewRequest(http.MethodGet, "/debug/larder/", nil)
		r.SetBasicAuth(user, "of the example")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Code
	}
	fmt.Println(look("stranger"), look("operator"))
	// Output: 403 200
}

// A panel shows what the inspector does not know by itself: here a queue, whose
// dead letters can be tried again.
func ExamplePanel() {
	inspector, err := inspect.New(&inspect.Options{Authorize: func(*http.Request) bool { return true }})
	if err != nil {
		panic(err)
	}
	defer inspector.Close(context.Background())

	dead := map[string]string{"17": "order:17"} // keys of what could not be written, by job
	err = inspector.AddPanel(inspect.Panel{
		Title: "Dead letters",
		Rows: func(context.Context) ([]inspect.Row, error) {
			var rows []inspect.Row
			for id, key := range dead {
				rows = append(rows, inspect.Row{Name: "update of", Key: key, Value: "3 attempts", Bad: true, ID: id})
			}
			return rows, nil
		},
		Actions: []inspect.Action{{Name: "Retry", OnRows: true, Run: func(_ context.Context, id string) error {
			delete(dead, id)
			return nil
		}}},
	})
	if err != nil {
		panic(err)
	}
	w := post(inspector, nil, "do", "panel", "panel", "Dead letters", "action", "Retry", "id", "17")
	fmt.Println(w.Code, len(dead))
	// Output: 303 0
}
