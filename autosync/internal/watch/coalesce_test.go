package watch

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

const wait = 50 * time.Millisecond

// take receives what is there without waiting.
func take(p *post) []Hint {
	synctest.Wait()
	select {
	case batch := <-p.out:
		return batch
	default:
		return nil
	}
}

func say(u Urgency) []Hint { return []Hint{{Path: "f", Urgency: u}} }

func TestFirstHintOfQuietPathComesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(wait, nil)
		defer p.close()
		start := time.Now()
		p.put(say(Settled))
		if got := take(p); !slices.Equal(got, say(Settled)) {
			t.Errorf("got %v", got)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("after %v", took)
		}
	})
}

func TestRepeatWaitsAndItsTrailingEdgeComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(wait, nil)
		defer p.close()
		p.put(say(Settled))
		take(p)
		start := time.Now()
		for range 5 {
			time.Sleep(wait / 10)
			p.put(say(Settled))
			if got := take(p); got != nil {
				t.Fatalf("after %v: %v", time.Since(start), got)
			}
		}
		if got := <-p.out; !slices.Equal(got, say(Settled)) || time.Since(start) != wait {
			t.Errorf("after %v: %v", time.Since(start), got)
		}
		time.Sleep(10 * wait)
		if got := take(p); got != nil {
			t.Errorf("again: %v", got)
		}
	})
}

func TestCloseComesAtOnceAfterCreate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(wait, nil)
		defer p.close()
		for _, u := range []Urgency{Probe, Settled} {
			p.put(say(u))
			if got := take(p); !slices.Equal(got, say(u)) {
				t.Errorf("%v: got %v", u, got)
			}
			p.put(say(Busy))
			if got := take(p); got != nil {
				t.Errorf("busy after %v: got %v", u, got)
			}
		}
	})
}

func TestOtherPathsAreNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(wait, nil)
		defer p.close()
		p.put(say(Settled))
		take(p)
		p.put([]Hint{{Path: "f", Urgency: Settled}, {Path: "g", Urgency: Busy}})
		if got := take(p); len(got) != 1 || got[0].Path != "g" {
			t.Errorf("got %v", got)
		}
	})
}

func TestBatchHoldsEachPathOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(wait, nil)
		defer p.close()
		p.put([]Hint{{Path: "d", Urgency: Settled, NewDir: true}, {Path: "f", Urgency: Busy}})
		synctest.Wait()
		time.Sleep(3 * wait) // the receiver is busy
		p.put([]Hint{{Path: "f", Urgency: Settled}, {Path: "d", Urgency: Probe, IsDir: true}})
		want := []Hint{{Path: "d", Urgency: Settled, IsDir: true, NewDir: true}, {Path: "f", Urgency: Settled}}
		if got := take(p); !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
	})
}

func TestTooManyWaitingHintsAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := 0
		p := newPost(wait, func() { lost++ })
		defer p.close()
		hints := make([]Hint, maxWaiting+1)
		for i := range hints {
			hints[i].Path = safety.RelPath([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		}
		p.put(hints)
		if got := take(p); got != nil || lost != 1 {
			t.Errorf("%d hints, reported %d times", len(got), lost)
		}
		p.put(say(Settled))
		if got := take(p); len(got) != 1 {
			t.Errorf("afterwards: %v", got)
		}
	})
}

// TestNoChangeGoesWithoutLaterHint checks the promise over random histories: after each change of a path comes a
// delivery that says as much, at most the debounce later; nothing is kept once all is quiet.
func TestNoChangeGoesWithoutLaterHint(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		c := newCoalescer(wait)
		now := time.Unix(1000, 0)
		owed := map[safety.RelPath]Hint{}
		since := map[safety.RelPath]time.Time{}
		collect := func() {
			seen := map[safety.RelPath]bool{}
			for _, h := range c.ready {
				if seen[h.Path] {
					t.Fatalf("seed %d: %q twice in a batch", seed, h.Path)
				}
				seen[h.Path] = true
				if h.Urgency >= owed[h.Path].Urgency {
					delete(owed, h.Path)
					delete(since, h.Path)
				}
			}
			c.taken()
		}
		for range 400 {
			now = now.Add(time.Duration(rnd.IntN(20)) * time.Millisecond)
			c.advance(now)
			if rnd.IntN(4) > 0 {
				h := Hint{Path: safety.RelPath([]string{"a", "b", "c"}[rnd.IntN(3)]), Urgency: Urgency(rnd.IntN(3))}
				if _, ok := owed[h.Path]; !ok {
					since[h.Path] = now
				}
				owed[h.Path] = owed[h.Path].and(h)
				c.offer(now, h)
			}
			collect()
			for p, at := range since {
				if now.Sub(at) >= wait {
					t.Fatalf("seed %d: %q waits for %v", seed, p, now.Sub(at))
				}
			}
		}
		for at, ok := c.next(); ok; at, ok = c.next() {
			now = at
			c.advance(now)
			collect()
		}
		if len(owed) > 0 || len(c.recent) > 0 {
			t.Fatalf("seed %d: left %v, kept %d", seed, owed, len(c.recent))
		}
	}
}
