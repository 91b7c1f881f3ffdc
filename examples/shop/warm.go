package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/larder-go/larder/patterns"
)

// warm reads all there is before the first customer comes, and tells how far it
// has come. Rows that could not be read are no reason not to open.
func (s *shop) warm(ctx context.Context, progress func(done, all int)) error {
	done := 0
	for _, kind := range []func(context.Context, func(done int)) (int, error){
		func(ctx context.Context, tell func(int)) (int, error) {
			return warmOf(ctx, s, s.products, productCount, tell)
		},
		func(ctx context.Context, tell func(int)) (int, error) {
			return warmOf(ctx, s, s.stock, productCount, tell)
		},
		func(ctx context.Context, tell func(int)) (int, error) {
			return warmOf(ctx, s, s.customers, customerCount, tell)
		},
	} {
		n, err := kind(ctx, func(n int) { progress(done+n, 2*productCount+customerCount) })
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}

func warmOf[V any](ctx context.Context, s *shop, entities *switched[V], n int, tell func(done int)) (int, error) {
	warmed, err := patterns.Warm(ctx, entities, numbers(n), patterns.WarmOptions[int]{
		Batch:    8, // small ones, so that there is something to see
		Progress: func(p patterns.WarmProgress) { tell(p.Done) },
		OnError:  func(_ int, err error) { s.events.add("warming %s: %v", entities.name, err) },
	})
	entities.reads.reset() // the page shows what visitors get
	entities.rows.reset()
	return warmed.Done, err
}

func numbers(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for id := 1; id <= n && yield(id); id++ {
		}
	}
}

// progressBar returns a bar on out, or nothing if that is no terminal.
func progressBar(out io.Writer) func(done, all int) {
	f, ok := out.(*os.File)
	if !ok {
		return func(int, int) {}
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return func(int, int) {}
	}
	return func(done, all int) {
		const width = 40
		full := width * done / all
		fmt.Fprintf(out, "\rwarming the cache [%s%s] %d/%d", strings.Repeat("#", full), strings.Repeat(".", width-full), done, all)
		if done == all {
			fmt.Fprintln(out)
		}
	}
}
