package cmd

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"
)

// schedLatencies is the runtime's own histogram of how long goroutines that could run waited for a processor.
const schedLatencies = "/sched/latencies:seconds"

// sizeMemory suits the collector to a bench of so many samples, 0 for an unknown number. What it allocates for a request is
// garbage at once and its samples hold no pointers, so that few collections do; a soft limit keeps a long run's memory
// near what its samples need.
func sizeMemory(samples int) {
	const base, perSample = 24 << 20, 40
	debug.SetGCPercent(200)
	debug.SetMemoryLimit(math.MaxInt64)
	if samples > 0 {
		debug.SetMemoryLimit(base + int64(samples)*perSample)
	}
}

// schedulingDelay measures, at the 99th percentile, how late this process runs what is ready to run. Where that is no
// longer small beside a latency, the latency is partly the client's own.
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
		left := all / 100 // beyond the percentile
		for i, n := range slices.Backward(after.Counts) {
			if n > left {
				return time.Duration(max(0, after.Buckets[i]) * float64(time.Second)) // the lowest bucket begins at -Inf
			}
			left -= n
		}
		return 0
	}
}

// readLatencies copies the histogram, nil where this runtime has none.
func readLatencies() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: schedLatencies}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	return sample[0].Value.Float64Histogram()
}
