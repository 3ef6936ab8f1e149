package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/alca-mount/alca-mount/mirror"
)

// progressAfter is how long work may take before a bar is shown.
const progressAfter = 500 * time.Millisecond

// progress shows how far a build is: on a terminal, for work that takes long. It leaves no trace.
type progress struct {
	mu    sync.Mutex
	out   *output
	began time.Time
	now   mirror.Progress
	bars  *mpb.Progress
	bar   *mpb.Bar
	over  bool
}

func newProgress(o *output) *progress { return &progress{out: o, began: time.Now()} }

func (p *progress) show(now mirror.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = now
	if p.over || p.bar != nil || p.out.quiet || !p.out.terminal || time.Since(p.began) < progressAfter {
		return
	}
	// How much there is to copy is not known before it is walked: a spinner, and what is done.
	p.bars = mpb.New(mpb.WithOutput(p.out.w), mpb.WithWidth(60))
	p.bar = p.bars.New(0, mpb.SpinnerStyle().PositionLeft(),
		mpb.BarWidth(2),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return p.text() })),
	)
}

// text is called by the bar's own goroutine.
func (p *progress) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("copying: %s, %s", count(int(p.now.Files), "file"), humanBytes(p.now.Bytes))
}

// done takes the bar off the screen and waits until it is gone. It can be called again.
func (p *progress) done() {
	p.mu.Lock()
	p.over = true
	bars, bar := p.bars, p.bar
	p.bars, p.bar = nil, nil
	p.mu.Unlock() // not held while waiting: text needs it
	if bar != nil {
		bar.Abort(true)
		bars.Wait()
	}
}
