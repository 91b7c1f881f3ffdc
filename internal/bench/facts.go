package bench

import (
	"bufio"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// Facts describe what a measurement ran on, and nothing that names the machine.
type Facts struct {
	CPU     string // model, or the architecture if it is unknown
	Cores   int
	OS      string
	Go      string
	Redis   string // empty: none
	Modules []Module
}

// Module is a peer and its version.
type Module struct{ Path, Version string }

// Collect returns the facts of this process; the versions are those of the
// modules whose paths are given.
func Collect(redis string, paths ...string) Facts {
	f := Facts{
		CPU: cpuModel(), Cores: runtime.NumCPU(), Redis: redis,
		OS: runtime.GOOS + "/" + runtime.GOARCH, Go: strings.TrimPrefix(runtime.Version(), "go"),
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return f
	}
	for _, m := range info.Deps {
		if slices.Contains(paths, m.Path) {
			f.Modules = append(f.Modules, Module{m.Path, m.Version})
		}
	}
	return f
}

// cpuModel reads what Linux says; elsewhere the architecture has to do.
func cpuModel() string {
	info, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer info.Close()
	for lines := bufio.NewScanner(info); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
