package autosync

import (
	"context"
	"sync"
	"sync/atomic"
)

// inParallel calls do for each number below n, in at most that many goroutines: one for each number would grow a stack of
// its own. It returns when all is done, or ctx's error when that ended before.
func inParallel(ctx context.Context, workers, n int, do func(ctx context.Context, i int)) error {
	var next atomic.Int64
	work := func() {
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			do(ctx, i)
		}
	}
	var all sync.WaitGroup
	for range min(workers, n) - 1 {
		all.Go(work)
	}
	work()
	all.Wait()
	return ctx.Err()
}
