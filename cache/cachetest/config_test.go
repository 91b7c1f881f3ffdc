package cachetest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
)

// badConfigs must fail a test, each with these words.
var badConfigs = map[string]struct {
	cfg   Config
	check bool // give it to Check instead of Run
	want  string
}{
	"no New":              {cfg: Config{}, want: "Config.New is nil"},
	"unknown case":        {cfg: Config{New: newModel, Skip: map[string]string{"Set/Typo": "why"}}, want: "names no case: Set/Typo"},
	"tolerance":           {cfg: Config{New: newModel, RealTime: &RealTime{Unit: time.Second, Tolerance: time.Second / 2}}, want: "half a unit"},
	"Check in real time":  {cfg: Config{New: newModel, RealTime: &RealTime{}}, check: true, want: "needs virtual time"},
	"Check without a New": {cfg: Config{}, check: true, want: "Config.New is nil"},
}

const childEnv = "LARDER_TEST_CHILD"

// A test that must fail runs in a process of its own.
func TestBadConfigFailsTheTest(t *testing.T) {
	if name := os.Getenv(childEnv); name != "" {
		if b := badConfigs[name]; b.check {
			Check(t, b.cfg)
		} else {
			Run(t, b.cfg)
		}
		return
	}
	for name, b := range badConfigs {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestBadConfigFailsTheTest$", "-test.v")
			cmd.Env = append(os.Environ(), childEnv+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), b.want) {
				t.Errorf("error %v, output without %q:\n%s", err, b.want, out)
			}
		})
	}
}

// What does not run must be seen not to, with the reason.
func TestSkippedCasesAreReported(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		Run(t, Config{
			New:  func(testing.TB) cache.Cache { return fourMethods{NewModel(cache.EntryOptions{})} },
			Skip: map[string]string{"Value/Large": "small values only"},
		})
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSkippedCasesAreReported$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"=skip")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"--- SKIP: TestSkippedCasesAreReported/Value/Large", "small values only",
		"--- SKIP: TestSkippedCasesAreReported/Counter/StartsAtZero", "the cache has no Counter",
		"--- SKIP: TestSkippedCasesAreReported/Value/TooLargeIsRefused", "names no limit",
		"--- PASS: TestSkippedCasesAreReported/Set/Stores",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output does not say %q", want)
		}
	}
}
