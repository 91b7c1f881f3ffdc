// Package browser runs a headless Chromium for tests of pages: what a page looks
// like and does in a browser, its script and its security policy included. It is
// a module of its own, so that its dependencies reach no importer of larder.
package browser

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// names are those that distributions give Chromium.
var names = []string{"chromium", "chromium-browser", "google-chrome"}

const (
	lifetime = 2 * time.Minute  // of one test's browser
	patience = 20 * time.Second // with one step
)

// Page is a tab of a browser that lives as long as its test. Its methods fail the
// test where something goes wrong or takes longer than 20 seconds; one goroutine
// may call them, that of the test.
type Page struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the browser complained about
	requests []string // the addresses that it asked for
}

// Start starts a browser with a profile of its own and returns an empty tab. The
// browser ends with the test. Where none is on PATH the test is skipped. At its
// end the test fails if a page's script threw, or if the browser complained, of
// what the Content-Security-Policy forbids, say, and the test has not taken that
// with Problems.
func Start(t testing.TB) *Page {
	t.Helper()
	program := find()
	if program == "" {
		t.Skipf("none of %v is on PATH", names)
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900),
	}
	for _, flag := range []string{
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "no-default-browser-check",
		"disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, cancel := context.WithTimeout(context.Background(), lifetime)
	ctx, cancelAllocator := chromedp.NewExecAllocator(ctx, options...)
	p := &Page{t: t}
	ctx, cancelTab := chromedp.NewContext(ctx, chromedp.WithListener(p.listen))
	p.ctx = ctx
	t.Cleanup(func() {
		for _, problem := range p.Problems() {
			t.Errorf("the browser complained: %s", problem)
		}
		_ = chromedp.Cancel(ctx) // waits for the browser to end, so that its profile can be removed
		cancelTab()
		cancelAllocator()
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil { // starts it, for as long as ctx lives
		t.Fatalf("browser: %v", err)
	}
	call(p, network.Enable, network.EnableParams{})
	call(p, log.Enable, cdp.Empty{})
	return p
}

func find() string {
	for _, name := range names {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	return ""
}

// listen notes what the browser tells. chromedp calls it on a goroutine of its
// own.
func (p *Page) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		problem := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			problem += " " + e.ExceptionDetails.Exception.Description
		}
		p.problems = append(p.problems, problem)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			p.problems = append(p.problems, e.Entry.Text)
		}
	}
}

// do runs an action.
func do[T any](p *Page, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatalf("browser: %v", err)
	}
	return result
}

// call runs a command of the protocol.
func call[P, R any](p *Page, command cdp.Command[P, R], params P) {
	p.t.Helper()
	do(p, func(ctx context.Context, t *chromedp.Target) (R, error) { return cdp.Call(ctx, t, command, params) })
}

// Eval returns the value of an expression of JavaScript in the page; of a promise,
// what it comes to.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	return do(p, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Open goes to address and waits until the page is loaded.
func (p *Page) Open(address string) {
	p.t.Helper()
	do(p, chromedp.Navigate(address))
}

// Reload loads the page anew, as its user would.
func (p *Page) Reload() {
	p.t.Helper()
	do(p, chromedp.Reload())
}

// Click clicks the first element that the CSS selector finds, once it is there.
func (p *Page) Click(selector string) {
	p.t.Helper()
	do(p, chromedp.Click(chromedp.CSS(selector)))
}

// Type types text into the first element that the CSS selector finds. A line break
// is the Enter key.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	do(p, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Text returns the text of the first element that the CSS selector finds, as it is
// seen, once it is there.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return do(p, chromedp.Text(chromedp.CSS(selector)))
}

// WaitFor waits until an expression of JavaScript is true, on this page or on one
// that comes after it. One that throws is not true yet.
func (p *Page) WaitFor(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	often := time.NewTicker(20 * time.Millisecond)
	defer often.Stop()
	for {
		holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err == nil && holds {
			return
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("browser: waited in vain for %s: %v", expression, err)
		case <-often.C:
		}
	}
}

// Problems returns what the browser complained about since the last call.
func (p *Page) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	problems := p.problems
	p.problems = nil
	return problems
}

// Requests returns the addresses that the browser asked for so far.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// PreferColors has pages find that their user prefers "light" or "dark".
func (p *Page) PreferColors(scheme string) {
	p.t.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
}

// Resize gives pages a window of this many pixels.
func (p *Page) Resize(width, height int64) {
	p.t.Helper()
	do(p, chromedp.EmulateViewport(width, height))
}

// ForbidScripts has pages run no scripts from the next one on; Eval still works.
func (p *Page) ForbidScripts() {
	p.t.Helper()
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// GoOffline cuts the browser's network.
func (p *Page) GoOffline() {
	p.t.Helper()
	call(p, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: true}},
	})
}

// Screenshot writes the whole page as <name>.png to the folder that the
// environment variable SCREENSHOTS names, for humans to look at; without it, it
// does nothing.
func (p *Page) Screenshot(name string) {
	p.t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	png := do(p, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
