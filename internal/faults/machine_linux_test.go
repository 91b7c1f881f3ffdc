package faults_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/swarmtest"
)

// slowTrip is how long a round trip may take on a machine that can be expected to
// work: a quarter of what a call may take in all (distributed.Options.Budget), and
// a hundred times what it takes on an idle one. A removal makes up to three.
const slowTrip = 25 * time.Millisecond

// step is how long the timers are by which a process sees whether it runs at all.
const step = 5 * time.Millisecond

// machine tells what is the machine's doing, and not the cache's. It makes round
// trips that no fault touches, all the time, and looks at how long they take; and it
// sets timers, and looks at how late they are.
type machine struct {
	began atomic.Int64 // the trip that is under way; 0: none is
	slow  atomic.Int64 // when the last slow one was over

	ticked atomic.Int64 // when the last timer was set
	missed atomic.Int64 // by how much they were late, all of them
}

// watch makes round trips until ctx ends. One is twice that to a server in the
// test's process, and so as many hops as to Redis through a proxy.
func (m *machine) watch(ctx context.Context, addr string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	for b := make([]byte, 1); ctx.Err() == nil; {
		m.began.Store(now())
		for range 2 {
			if _, err := conn.Write(b); err != nil {
				return err
			}
			if _, err := conn.Read(b); err != nil {
				return err
			}
		}
		m.slowUntil(now())
		m.began.Store(0)
		_ = swarmtest.Pause(ctx, 10*time.Millisecond)
	}
	return nil
}

// slowUntil returns when the machine was slow for the last time, as of now.
func (m *machine) slowUntil(now int64) int64 {
	if began := m.began.Load(); began != 0 && now-began > int64(slowTrip) {
		raise(&m.slow, now)
	}
	return m.slow.Load()
}

// tick sets timers until ctx ends.
func (m *machine) tick(ctx context.Context) {
	for ctx.Err() == nil {
		m.ticked.Store(now())
		time.Sleep(step)
		m.missed.Add(now() - m.ticked.Load() - int64(step))
	}
}

// idle is for how long this process has not run, although it wanted to: what timers
// were late by, or what threads have waited for a processor, all together. The one
// knows that the process was stopped, and the other that one of its threads had to
// wait while another ran.
func (m *machine) idle() (timers, threads time.Duration) {
	pending := max(0, now()-m.ticked.Load()-int64(step))
	return time.Duration(m.missed.Load() + pending), queued()
}

// lateness is by how much what waits for a context is late to hear of its end, on
// the machine's account.
type lateness struct {
	machine *machine
	due     int64 // when the context should end

	noted           chan struct{} // closed when the rest is set
	told            int64         // when it has, for somebody who just waits for that
	timers, threads time.Duration // machine.idle by then
}

// note is called when the context has ended.
func (l *lateness) note() {
	l.timers, l.threads = l.machine.idle()
	l.told = now() // after that: what comes between is not in the sums
	close(l.noted)
}

// excuse returns for how long, since the context should have ended, nobody in this
// process was told of it, or the process did not run.
func (l *lateness) excuse() time.Duration {
	<-l.noted
	timers, threads := l.machine.idle()
	return max(0, time.Duration(l.told-l.due)) + max(timers-l.timers, threads-l.threads)
}

// queued is for how long threads of this process have been ready to run and were
// not running, all together.
func queued() (sum time.Duration) {
	files, err := filepath.Glob("/proc/self/task/*/schedstat")
	if err != nil {
		panic(err) // the pattern is a good one
	}
	for _, f := range files {
		var ran, waited int64
		text, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that has ended
		}
		if n, _ := fmt.Sscan(string(text), &ran, &waited); n == 2 {
			sum += time.Duration(waited)
		}
	}
	return sum
}
