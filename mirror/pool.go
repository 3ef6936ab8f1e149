package mirror

import (
	"context"
	"runtime"
	"sync"
)

// pool hands jobs to workers, the newest first: so a walk goes down before it goes wide, and few jobs wait at once.
type pool[J any] struct {
	mu      sync.Mutex
	waiting sync.Cond
	stack   []J
	busy    int
	err     error
}

// runPool does first and all jobs that are pushed meanwhile, with the given number of workers, and returns when none
// is left or one fails or ctx ends. do gets the number of its worker, from 0.
func runPool[J any](ctx context.Context, workers int, first J, do func(worker int, job J, push func(J)) error) error {
	p := &pool[J]{stack: []J{first}}
	p.waiting.L = &p.mu
	var all sync.WaitGroup
	for n := range workers {
		all.Go(func() { p.work(ctx, n, do) })
	}
	all.Wait()
	return p.err
}

func (p *pool[J]) work(ctx context.Context, worker int, do func(int, J, func(J)) error) {
	for {
		job, ok := p.take()
		if !ok {
			return
		}
		err := ctx.Err()
		if err == nil {
			err = do(worker, job, p.push)
		}
		p.done(err)
	}
}

func (p *pool[J]) take() (job J, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.stack) == 0 && p.busy > 0 && p.err == nil {
		p.waiting.Wait()
	}
	last := len(p.stack) - 1
	if last < 0 || p.err != nil {
		return job, false
	}
	job, p.stack = p.stack[last], p.stack[:last]
	p.busy++
	return job, true
}

func (p *pool[J]) push(job J) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stack = append(p.stack, job)
	p.waiting.Signal()
}

func (p *pool[J]) done(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	if err != nil && p.err == nil {
		p.err = err
	}
	if p.err != nil || p.busy == 0 {
		p.waiting.Broadcast()
	}
}

// workersOr is n, or the number of CPUs for 0.
func workersOr(n int) int {
	if n > 0 {
		return n
	}
	return min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
}
