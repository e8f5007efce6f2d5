//go:build unix

package cmd_test

import (
	"math"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFilterCost reports what a list adds to an ask in processor time, all threads together: some 4 ms for 10,000 words,
// 45 for 100,000. It fails where that is out of all proportion: what else a machine does slows a processor too.
func TestFilterCost(t *testing.T) {
	if raceEnabled {
		t.Skip("a measurement")
	}
	// A bench in this process has set the collector to its own wants.
	limit, percent := debug.SetMemoryLimit(math.MaxInt64), debug.SetGCPercent(100)
	defer func() { debug.SetMemoryLimit(limit); debug.SetGCPercent(percent) }()
	prompt := strings.Repeat("天空为什么是蓝色的? why is the sky blue? ", 50)
	bare := cheapest(t, withConfig(t, "", nil), prompt)
	for _, words := range []int{10_000, 100_000} {
		env := withConfig(t, "filter: {file: words.txt, on: [prompt, answer]}\n", map[string]string{"words.txt": blockedWords(words)})
		added, most := cheapest(t, env, prompt)-bare, time.Duration(words)*20*time.Microsecond
		t.Logf("%d words add %s to an ask of %s", words, added, bare)
		if added > most {
			t.Errorf("%d words add %s, more than %s", words, added, most)
		}
	}
}

// cheapest is the least processor time of an ask in ten.
func cheapest(t *testing.T, env map[string]string, prompt string) time.Duration {
	t.Helper()
	best := time.Hour
	for range 10 {
		before := processorTime(t)
		if code, _, stderr := run(t, env, "ask", "-n", "demo", prompt); code != 0 {
			t.Fatal(stderr)
		}
		best = min(best, processorTime(t)-before)
	}
	return best
}

// processorTime is what this process has had of the processors.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	check(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// blockedWords is a list of so many words of the usual lengths, Chinese and Latin by turns, in no order.
func blockedWords(n int) string {
	chance := rand.New(rand.NewPCG(1, 2))
	var list strings.Builder
	for k := range n {
		if k%2 == 0 {
			for range 2 + chance.IntN(5) {
				list.WriteRune(rune(0x4e00 + chance.IntN(3500)))
			}
		} else {
			for range 5 + chance.IntN(10) {
				list.WriteByte(byte('a' + chance.IntN(26)))
			}
		}
		list.WriteByte('\n')
	}
	return list.String()
}
