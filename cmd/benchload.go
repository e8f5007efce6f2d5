package cmd

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"
)

// schedLatencies is the runtime's histogram of how long runnable goroutines waited for a processor.
const schedLatencies = "/sched/latencies:seconds"

// sizeMemory tunes the garbage collector for a bench of this many samples, 0 if unknown. The memory of a request is
// garbage at once and samples have no pointers, so few collections are enough. A soft limit keeps the memory of a long
// run near what its samples need.
func sizeMemory(samples int) {
	const base, perSample = 24 << 20, 40
	debug.SetGCPercent(200)
	debug.SetMemoryLimit(math.MaxInt64)
	if samples > 0 {
		debug.SetMemoryLimit(base + int64(samples)*perSample)
	}
}

// schedulingDelay measures how long runnable goroutines of this process wait, at the 99th percentile. If that is not
// small compared with a latency, part of the latency is the client's.
func schedulingDelay() (end func() time.Duration) {
	before := readLatencies()
	return func() time.Duration {
		after := readLatencies()
		if before == nil || after == nil {
			return 0
		}
		var all uint64
		for i := range after.Counts {
			after.Counts[i] -= before.Counts[i]
			all += after.Counts[i]
		}
		left := all / 100 // how many are beyond the percentile
		for i, n := range slices.Backward(after.Counts) {
			if n > left {
				return time.Duration(max(0, after.Buckets[i]) * float64(time.Second)) // the lowest bucket begins at -Inf
			}
			left -= n
		}
		return 0
	}
}

// readLatencies returns a copy of the histogram, or nil if this runtime has none.
func readLatencies() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: schedLatencies}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	return sample[0].Value.Float64Histogram()
}
