package main

import (
	"fmt"
	"io"
	"time"

	"github.com/larder-go/larder/cache"
)

// printer writes one line a step, with the time it took unless it is plain.
type printer struct {
	out   io.Writer
	plain bool
}

func (p *printer) title(format string, args ...any) {
	fmt.Fprintf(p.out, "\n"+format+"\n", args...)
}

func (p *printer) step(name string, do func() string) {
	start := time.Now()
	result := do()
	took := time.Since(start)
	if p.plain {
		fmt.Fprintf(p.out, "  %-21s %s\n", name, result)
		return
	}
	fmt.Fprintf(p.out, "  %-21s %-62s %10s\n", name, result, rounded(took))
}

func (p *printer) stats(s cache.Stats) {
	if !p.plain {
		fmt.Fprintf(p.out, "\nIn all: %d loads; %d callers waited for another caller's load\n", s.Loads, s.LoadsShared)
	}
}

// rounded keeps three digits.
func rounded(d time.Duration) time.Duration {
	for unit := time.Second; unit > time.Nanosecond; unit /= 1000 {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}
