//go:build linux

package cmd_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// holderLimit is what a holder may have in memory, in KiB.
const holderLimit = 12 << 10

// TestHoldMemory measures a holder of ferry's own binary after a hundred calls, some of which are large.
func TestHoldMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("long: builds the binary and calls it a hundred times")
	}
	r, server := secureHoldRig(t)
	r.program = buildFerry(t)
	pid := r.holder()
	for i := range 100 {
		prompt := fmt.Sprint("prompt ", i)
		if i%10 == 9 {
			prompt += strings.Repeat(" and on it goes", 5000)
		}
		r.must(prompt)
	}
	if n := server.connections.Load(); n > 10 {
		t.Errorf("%d connections: the calls were not held", n)
	}
	now := memoryOf(t, pid, "VmRSS")
	if !before(patience/2, func() bool { now = memoryOf(t, pid, "VmRSS"); return now <= holderLimit }) {
		t.Errorf("a holder has %d KiB in memory, the limit is %d", now, holderLimit)
	}
	t.Logf("after 100 calls: %.1f MiB, of which its own %.1f MiB; at most %.1f MiB", float64(now)/1024,
		float64(memoryOf(t, pid, "RssAnon"))/1024, float64(memoryOf(t, pid, "VmHWM"))/1024)
}

// memoryOf reads a figure of a process, in KiB.
func memoryOf(t *testing.T, pid int, name string) (kib int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	check(t, err)
	_, after, _ := strings.Cut(string(text), "\n"+name+":")
	if _, err := fmt.Sscan(after, &kib); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return kib
}
