// Command enginebench prints what package enginebench measures.
//
//	go run ./internal/bench/cmd/enginebench [-rounds n] [-only hits,sets,churn,heap,gc] [-gc entries] [-calls names] [-goroutines n]
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/larder-go/larder/internal/bench"
	"github.com/larder-go/larder/internal/bench/enginebench"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	rounds := flag.Int("rounds", 9, "rounds of each measurement; medians are shown")
	only := flag.String("only", "hits,sets,churn,heap,gc", "what to measure, separated by commas")
	gcEntries := flag.Int("gc", 5_000_000, "entries in the heap for gc")
	calls := flag.String("calls", "", "for hits: calls whose names contain one of these, separated by commas, beside the map")
	most := flag.Int("goroutines", 2, "for hits and sets: at most that many")
	flag.Parse()
	for _, part := range strings.Split(*only, ",") {
		var err error
		switch part {
		case "hits":
			err = hits(7**rounds, *most, strings.Split(*calls, ",")) // they are short
		case "sets":
			err = sets(*rounds, *most)
		case "churn":
			var samples map[string]bench.Sample
			samples, err = enginebench.Churn(20_000, *rounds)
			show("reads under churn, p99.9", samples)
		case "heap":
			for _, n := range []int{100_000, 262_144, 1_000_000} {
				sizes := enginebench.Heap(n)
				fmt.Printf("heap per entry of %d: engine %.0f B, memory %.0f B, otter %.0f B\n", n, sizes["engine"], sizes["memory"], sizes["otter"])
			}
		case "gc":
			times, work := enginebench.Collections(*gcEntries, *rounds)
			show("collection, ms", times)
			show("collection, ms of all cores", work)
		default:
			err = fmt.Errorf("there is no %q", part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func hits(rounds, most int, only []string) error {
	alone := make(map[string]float64)
	for _, keys := range []int{1, 512, 100_000} {
		for _, goroutines := range []int{1, 2}[:min(most, 2)] {
			order, samples, err := enginebench.Hits(keys, goroutines, rounds, only...)
			if err != nil {
				return err
			}
			for _, name := range order {
				s := samples[name]
				fmt.Printf("hit, %6d keys, %d goroutines, %-30s %6.1f ns, %.2f of the map", keys, goroutines, name, s.Median(), s.Ratio(samples[order[0]]))
				if goroutines == 1 {
					alone[name] = s.Median()
				} else {
					fmt.Printf(", throughput %.2f of one", 2*alone[name]/s.Median())
				}
				fmt.Println()
			}
		}
	}
	return nil
}

func sets(rounds, most int) error {
	for _, capacity := range []int{1000, 100_000} {
		for _, goroutines := range []int{1, 2}[:min(most, 2)] {
			times, work, err := enginebench.Sets(capacity, goroutines, rounds)
			if err != nil {
				return err
			}
			what := fmt.Sprintf("set that evicts, capacity %d, %d goroutines", capacity, goroutines)
			show(what, times)
			show(what+", of all cores", work)
		}
	}
	return nil
}

// show compares the engine, and memory on it, with otter.
func show(what string, samples map[string]bench.Sample) {
	otter := samples["otter"]
	fmt.Printf("%s: otter %s", what, bench.Spread(otter))
	for _, name := range []string{"engine", "memory"} {
		fmt.Printf(", %s %s %s", name, bench.Spread(samples[name]), bench.Times(otter.Ratio(samples[name])))
	}
	fmt.Println()
}
