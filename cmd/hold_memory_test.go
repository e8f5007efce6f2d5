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
	long(t, "builds the binary and calls it a hundred times")
	r, _ := secureHoldRig(t)
	r.program = buildFerry(t)
	pid := r.holder()
	for held, tries := 0, 0; held < 100; tries++ {
		prompt := fmt.Sprint("prompt ", tries)
		if tries%10 == 9 {
			prompt += strings.Repeat(" and on it goes", 5000)
		}
		if r.must(prompt).held() {
			held++
		}
		if tries == 1000 {
			t.Fatalf("of %d calls %d were held, want 100", tries, held)
		}
	}
	now := memoryOf(t, pid, "VmRSS")
	if !before(testTimeout/2, func() bool { now = memoryOf(t, pid, "VmRSS"); return now <= holderLimit }) {
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
