package engine

import (
	"runtime"
	"sync"
	"testing"
)

func TestParkingMutex(t *testing.T) {
	var m parkingMutex
	m.init()
	var callers sync.WaitGroup
	held, count := false, 0
	const each = 5000
	for range 8 {
		callers.Go(func() {
			for i := range each {
				m.Lock()
				if held {
					t.Error("two hold it")
				}
				held = true
				if i%8 == 0 {
					runtime.Gosched() // has others wait
				}
				held = false
				count++
				m.Unlock()
			}
		})
	}
	callers.Wait()
	if count != 8*each || m.state.Load() == 1 {
		t.Errorf("got %d holders and state %d, want %d", count, m.state.Load(), 8*each)
	}
}

// Each who waits is woken, however many there are.
func TestParkingMutexWakesAllWhoWait(t *testing.T) {
	var m parkingMutex
	m.init()
	for range 100 {
		var callers sync.WaitGroup
		m.Lock()
		for range 10 {
			callers.Go(func() {
				m.Lock()
				m.Unlock() //lint:ignore SA2001 to have waited is all
			})
		}
		runtime.Gosched()
		m.Unlock()
		callers.Wait()
	}
}
