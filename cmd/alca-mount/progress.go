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
	pull  string // the text of a pull under way; "" when there is none
	told  bool   // that an image is pulled
	bars  *mpb.Progress
	bar   *mpb.Bar
	over  bool
}

func newProgress(o *output) *progress { return &progress{out: o, began: time.Now()} }

func (p *progress) show(now mirror.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now, p.pull = now, ""
	p.draw()
}

// pulling shows how far the download of an image is. Without a terminal it is said once.
func (p *progress) pulling(image string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.told && !p.out.terminal {
		p.out.say("pulling %s", show(image))
	}
	p.told = true
	p.pull = fmt.Sprintf("pulling %s: %s of %s", show(image), humanBytes(done), humanBytes(total))
	p.draw()
}

// draw begins to show the bar when it is time. The caller holds the lock.
func (p *progress) draw() {
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
	if p.pull != "" {
		return p.pull
	}
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
