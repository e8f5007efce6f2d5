package bench

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"
)

// allocatedBy returns how many bytes a function allocates.
func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A million samples and their report need at most 64 MB more than the process had before.
func TestMillionSamples(t *testing.T) {
	skipIfShort(t, "a million samples")
	const requests, most = 1_000_000, 64 << 20
	// The limit that ferry sets for a run with this many samples. Without a limit the collector may leave as much
	// garbage as there are samples.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(24<<20 + 40*requests))
	debug.FreeOSMemory()
	idle := resident()
	var done atomic.Bool
	peak := make(chan int64)
	go func() {
		var highest int64
		for !done.Load() {
			highest = max(highest, resident())
			runtime.Gosched()
		}
		peak <- highest
	}()
	target := func(_ context.Context, r Request) Outcome {
		return Outcome{Started: time.Now(), Latency: time.Duration(r.Round%997+1) * time.Microsecond, Attempts: 1}
	}
	h := Header{Requests: requests, Concurrency: 50, Nodes: []Node{{Name: "a", Model: "m", Connection: Cold}}}
	run, err := New(Plan{Header: h, Targets: []Target{target}, Clock: bubble{}}).Run(t.Context(), t.Context())
	if err != nil {
		t.Fatal(err)
	}
	summary := Summarise([]*Run{run})
	done.Store(true)
	took := <-peak - idle
	t.Logf("%.1f MB above idle", float64(took)/1e6)
	if summary.Rows[0].OK != requests {
		t.Errorf("%d successes", summary.Rows[0].OK)
	}
	if took > most {
		t.Errorf("a million samples took %.1f MB, want at most %d", float64(took)/1e6, most>>20)
	}
}

// resident returns how much of the system's memory the runtime uses.
func resident() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64() - sample[1].Value.Uint64())
}
