package protocol_test

import (
	"testing"

	. "github.com/larder-go/larder/internal/protocol"
)

// mutant is larder's protocol with one rule replaced, where it must be caught.
type mutant struct {
	name   string
	mutate func(*Protocol)
	in     Config
	want   Property
}

// Where mutants are caught. All of these are kept by larder's protocol.
var (
	apart    = Config{Readers: []int{0, 1}, Gets: 2, Writers: []Mode{Invalidates, Invalidates}}
	together = Config{Readers: []int{0, 0}, Gets: 2, Writers: []Mode{Invalidates, Invalidates}}
	three    = Config{Readers: []int{0, 0, 0}, Gets: 1, Writers: []Mode{Invalidates}}
	marked   = Config{Readers: []int{0, 1}, Gets: 2, Writers: []Mode{Marks, Marks}}
	crashing = Config{Readers: []int{0, 1}, Gets: 2, Writers: []Mode{Marks, Marks}, Crashes: true}
	losing   = Config{Readers: []int{0, 1}, Gets: 2, Writers: []Mode{Marks, Marks}, LosesMarks: true}
	mixed    = Config{Readers: []int{0, 0}, Gets: 2, Writers: []Mode{Marks, Invalidates}, Crashes: true}
	regional = Config{Readers: []int{0, 1}, Gets: 2, Writers: []Mode{ExpireRegion}, Regions: true, LosesGeneration: true}
	joining  = Config{Readers: []int{0, 0}, Gets: 2, Writers: []Mode{ExpireRegion}, Regions: true}
	naming   = Config{Readers: []int{0, 0}, Gets: 2, Writers: []Mode{ExpireRegion}, Regions: true, NamesLate: true}
	storing  = Config{Readers: []int{0}, Gets: 2, Writers: []Mode{Marks, ExpireRegion}, Regions: true}
)

// mutants returns what the checker must catch.
func mutants() []mutant {
	return append(fillMutants(), append(joinMutants(), append(markMutants(), regionMutants()...)...)...)
}

func fillMutants() []mutant {
	return []mutant{
		{"FILL asks for nothing", func(p *Protocol) {
			p.Fill = func(_ Key, _ ID, v Value) Key { return Key{Kind: Filled, Value: v} }
		}, apart, StaleRead},
		{"FILL asks for some lease", func(p *Protocol) {
			p.Fill = func(k Key, _ ID, v Value) Key { return Fill(k, k.Token, v) }
		}, apart, StaleRead},
		{"FILL stores into an absent key too", func(p *Protocol) {
			p.Fill = func(k Key, token ID, v Value) Key {
				if k.Kind == Absent {
					return Key{Kind: Filled, Value: v}
				}
				return Fill(k, token, v)
			}
		}, apart, StaleRead},
		{"a lease token per client", func(p *Protocol) {
			p.LeaseToken = func(process int, _ ID) ID { return ID(process + 1) }
			p.IDsMatter = true
		}, together, StaleRead},
		{"INVALIDATE leaves the lease", func(p *Protocol) {
			p.Invalidate = func(k Key, fresh ID) Key {
				if k.Kind == Leased {
					return k
				}
				return Invalidate(k, fresh)
			}
		}, apart, StaleRead},
		{"invalidation before the commit", func(p *Protocol) { p.InvalidatesFirst = true }, apart, StaleRead},
		{"the last LEASE takes over", func(p *Protocol) {
			p.Lease = func(k Key, current, fresh ID) (Key, Reply) {
				if k.Kind == Leased {
					k.Token = fresh
					return k, Granted
				}
				return Lease(k, current, fresh)
			}
			p.Fill = func(k Key, _ ID, v Value) Key { return Fill(k, k.Token, v) }
		}, apart, StaleRead},
	}
}

func joinMutants() []mutant {
	return []mutant{
		{"join any flight", func(p *Protocol) { p.JoinsUnasked = true }, together, StaleRead},
		{"join by an answer from before the arrival", func(p *Protocol) { p.SharesOldAnswers = true }, three, StaleRead},
		{"join after any answer", func(p *Protocol) {
			p.MayJoin = func(Flight, ID, ID) bool { return true }
		}, mixed, StaleRead},
		{"join by the lease alone", func(p *Protocol) {
			p.MayJoin = func(f Flight, token, _ ID) bool { return f.Token == token }
		}, joining, StaleRead},
		{"INVALIDATE leaves the epoch", func(p *Protocol) {
			p.Invalidate = func(k Key, fresh ID) Key {
				if k.Kind == Marked {
					return k
				}
				return Invalidate(k, fresh)
			}
		}, mixed, StaleRead},
		{"END_WRITE leaves the epoch", func(p *Protocol) {
			p.EndWrite = func(k Key, w Writers, epoch ID, v Value, fresh ID) Key {
				if after := EndWrite(k, w, epoch, v, fresh); after.Kind != Marked {
					return after
				}
				return Key{Kind: Marked, Token: k.Token, Writers: k.Writers &^ w}
			}
		}, Config{Readers: []int{0, 0}, Gets: 2, Writers: []Mode{Marks, Marks}}, StaleRead},
	}
}

func markMutants() []mutant {
	return []mutant{
		{"no mark", func(p *Protocol) {
			p.BeginWrite = func(k Key, _ Writers, _ ID) (Key, ID) { return k, 0 }
		}, crashing, StaleRest},
		{"the mark may run out before the commit", func(p *Protocol) {
			p.MarkMayExpire = func(bool) bool { return true }
		}, crashing, StaleRest},
		{"INVALIDATE deletes the mark", func(p *Protocol) {
			p.Invalidate = func(Key, ID) Key { return Key{} }
		}, mixed, StaleRest},
		{"END_WRITE deletes the mark of others", func(p *Protocol) {
			p.EndWrite = func(Key, Writers, ID, Value, ID) Key { return Key{} }
		}, crashing, StaleRest},
		{"RELEASE deletes whatever is there", func(p *Protocol) {
			p.Release = func(Key, ID) Key { return Key{} }
		}, crashing, StaleRest},
		{"LEASE takes the place of a mark", func(p *Protocol) {
			p.Lease = func(k Key, current, fresh ID) (Key, Reply) {
				if k.Kind == Marked {
					k = Key{}
				}
				return Lease(k, current, fresh)
			}
		}, crashing, StaleRest},
		{"END_WRITE stores although writers overlapped", func(p *Protocol) {
			p.EndWrite = func(k Key, w Writers, epoch ID, v Value, fresh ID) Key {
				if k.Kind == Marked && k.Writers == w {
					epoch = k.Token
				}
				return EndWrite(k, w, epoch, v, fresh)
			}
		}, marked, StaleRest},
		{"BEGIN_WRITE lets every writer store", func(p *Protocol) {
			p.BeginWrite = func(k Key, w Writers, fresh ID) (Key, ID) {
				k, _ = BeginWrite(k, w, fresh)
				return k, k.Token
			}
		}, crashing, StaleRest},
		{"BEGIN_WRITE leaves the epoch", func(p *Protocol) {
			p.BeginWrite = func(k Key, w Writers, fresh ID) (Key, ID) {
				if k.Kind == Marked {
					fresh = k.Token
				}
				return BeginWrite(k, w, fresh)
			}
		}, crashing, StaleRest},
		{"END_WRITE without a mark does nothing", func(p *Protocol) {
			p.EndWrite = func(k Key, w Writers, epoch ID, v Value, fresh ID) Key {
				if k.Kind != Marked {
					return k
				}
				return EndWrite(k, w, epoch, v, fresh)
			}
		}, losing, StaleRead},
		{"END_WRITE without a mark stores", func(p *Protocol) {
			p.EndWrite = func(k Key, w Writers, epoch ID, v Value, fresh ID) Key {
				if k.Kind != Marked && v.Version != 0 {
					return Key{Kind: Filled, Value: v}
				}
				return EndWrite(k, w, epoch, v, fresh)
			}
		}, losing, StaleRead},
	}
}

func regionMutants() []mutant {
	late := func(_, current ID) ID { return current }
	return []mutant{
		{"FILL stamps with the current generation", func(p *Protocol) { p.FillStamp = late }, regional, StaleRead},
		{"END_WRITE stamps with the current generation", func(p *Protocol) { p.EndStamp = late }, storing, StaleRead},
		{"a value is judged by a generation read before it", func(p *Protocol) {
			p.TrustsOldGenerations = true
		}, joining, StaleRead},
		{"a late token stamps with the current generation", func(p *Protocol) {
			p.FillStamp = late
			p.Unexpired = func(_, _ ID) bool { return true }
		}, naming, StaleRead},
		{"who joined late keeps what expired", func(p *Protocol) { p.KeepsLateWaiters = true }, naming, StaleRead},
		{"joinable while its generations are being checked", func(p *Protocol) { p.JoinsWhileJudged = true }, naming, StaleRead},
		{"generations are counted", func(p *Protocol) {
			p.NextGeneration = func(last, _ ID) ID { return last + 1 }
			p.IDsMatter = true
		}, regional, StaleRead},
		{"expiring a region does nothing", func(p *Protocol) {
			p.NextGeneration = func(last, fresh ID) ID {
				if last == 0 {
					return fresh
				}
				return last
			}
		}, regional, StaleRead},
	}
}

// check checks a mutant where it must be caught.
func (mu *mutant) check() *Result {
	p, c := Larder(), mu.in
	mu.mutate(&p)
	c.Only = mu.want
	return Check(p, c)
}

func TestMutantsAreCaught(t *testing.T) {
	for _, mu := range mutants() {
		t.Run(mu.name, func(t *testing.T) {
			r := mu.check()
			if t.Logf("%v", r); r.Breaks != mu.want {
				t.Errorf("got %v, want %v", r.Breaks, mu.want)
			}
		})
	}
}
