package queuetest

import (
	"github.com/larder-go/larder/queue"
)

func writeCases() []testCase {
	return []testCase{
		{"Write/reaches a worker", "A write that was accepted is claimed, with its payload, and gone when done.", func(e *env) {
			s := e.open()
			sequence := s.put("a", "1")
			c := s.claimOne("1", long)
			if c.Key != "a" || c.Deleted || c.Sequence != sequence || c.First != sequence || c.Writes != 1 || c.Attempt != 1 {
				e.fail("Claim: got key ok %t, deleted %t, sequence %d (want %d), first %d, %d writes, attempt %d",
					c.Key == "a", c.Deleted, c.Sequence, sequence, c.First, c.Writes, c.Attempt)
			}
			s.settle(c, queue.Done, 0, queue.SettledDone)
			s.claimNone("it is done")
		}},
		{"Write/is seen until the source has it", "Lookup sees every accepted write: waiting, being written, waiting again.", func(e *env) {
			s := e.open()
			s.newest("a", "")
			s.put("a", "1")
			if st := s.look("a"); st.Open == nil || st.Ahead != nil {
				e.fail("Lookup of a new write: got %+v, want it open", st)
			}
			c := s.claimOne("1", long)
			if st := s.look("a"); st.Open != nil || st.Ahead == nil {
				e.fail("Lookup of a claimed write: got %+v, want it ahead", st)
			}
			s.newest("a", "1")
			s.settle(c, queue.Failed, 0, queue.SettledQueued)
			s.newest("a", "1")
			s.settle(s.claimOne("1", long), queue.Done, 0, queue.SettledDone)
			s.newest("a", "")
		}},
		{"Write/newest is seen", "Lookup returns the newest write even while an older one is being written.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			s.claimOne("1", long)
			s.put("a", "2")
			s.newest("a", "2")
		}},
		{"Write/lookup of many", "Lookup returns one state for each key, in their order.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			s.put("b", "2")
			states, err := s.Lookup(e.ctx, []string{"b", "none", "a", "b"})
			e.must(err, "Lookup")
			got := ""
			for _, st := range states {
				if it := st.Newest(); it != nil {
					got += string(it.Payload)
				} else {
					got += "-"
				}
			}
			if got != "2-12" {
				e.fail("Lookup: got %q, want 2-12", got)
			}
		}},
		{"Write/last one wins", "A write takes the place of the open one: the source gets the last value only.", func(e *env) {
			s := e.open()
			first := s.put("a", "1")
			s.put("a", "2")
			last := s.put("a", "3")
			c := s.claimOne("3", long)
			if c.Writes != 3 || c.First != first || c.Sequence != last {
				e.fail("Claim: got %d writes, first %d, sequence %d; want 3, %d, %d", c.Writes, c.First, c.Sequence, first, last)
			}
			if st := s.stats(); st.Enqueued != 3 || st.Coalesced != 2 {
				e.fail("Stats: got %d enqueued, %d coalesced; want 3, 2", st.Enqueued, st.Coalesced)
			}
		}},
		{"Write/deletions", "A deletion is a write like any other, and wins if it is the last.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			s.write(queue.Write{Key: "a", Payload: []byte("id"), Deleted: true})
			if it := s.look("a").Newest(); it == nil || !it.Deleted {
				e.fail("Lookup: got %+v, want a deletion", it)
			}
			if c := s.claimOne("id", long); !c.Deleted {
				e.fail("Claim: got a value, want a deletion")
			}
			s.put("a", "2")
			if it := s.look("a").Newest(); it == nil || it.Deleted {
				e.fail("Lookup: got %+v, want a value again", it)
			}
		}},
		{"Write/sequences rise", "Sequences rise within a key, also after its items are gone.", func(e *env) {
			s := e.open()
			var last uint64
			for range 50 {
				sequence := s.put("a", "x")
				if sequence <= last {
					e.fail("Enqueue: got sequence %d after %d, want a higher one", sequence, last)
				}
				last = sequence
				s.settle(s.claimOne("x", long), queue.Done, 0, queue.SettledDone)
			}
		}},
		{"Write/sequences beside the queue", "NextSequence is between the writes before and those after.", func(e *env) {
			s := e.open()
			sequencer := capability[queue.Sequencer](s)
			before := s.put("a", "1")
			between, err := sequencer.NextSequence(e.ctx, "a")
			e.must(err, "NextSequence")
			after := s.put("a", "2")
			if before >= between || between >= after {
				e.fail("got sequences %d, %d, %d; want them rising", before, between, after)
			}
		}},
		{"Write/memory is not shared", "The payload is copied, and what Lookup and Claim return belongs to the caller.", func(e *env) {
			s := e.open()
			payload := []byte("1")
			s.write(queue.Write{Key: "a", Payload: payload})
			payload[0] = 'x'
			s.look("a").Open.Payload[0] = 'y'
			s.claimOne("1", long).Payload[0] = 'z'
			s.newest("a", "1")
		}},
		{"Write/any bytes", "Keys and payloads are bytes: none are special.", func(e *env) {
			s := e.open()
			keys := []string{"\x00", "a\x00b", "\xff\xfe", "{a}:b", "A", "a", "a ", "ключ", "'\"%_\\"}
			for i, key := range keys {
				s.put(key, string([]byte{0, byte(i), 0xff}))
			}
			for i, key := range keys {
				s.newest(key, string([]byte{0, byte(i), 0xff}))
			}
			if n := len(s.claim(100, long)); n != len(keys) {
				e.fail("Claim: got %d, want %d distinct keys", n, len(keys))
			}
		}},
		{"Write/empty payload", "An empty payload is a write.", func(e *env) {
			s := e.open()
			s.write(queue.Write{Key: "a"})
			if s.look("a").Newest() == nil {
				e.fail("Lookup: got nothing, want the empty write")
			}
			s.claimOne("", long)
		}},
	}
}
