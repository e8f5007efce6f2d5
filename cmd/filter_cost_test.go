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

// TestFilterCost holds what a list adds to an ask: 10,000 words under 20 ms, 100,000 under 100 ms. It is the processor's
// time that counts, all threads together: on an idle machine an ask takes less, and on a busy one the clock on the wall
// measures what else is going on.
func TestFilterCost(t *testing.T) {
	if raceEnabled {
		t.Skip("a measurement")
	}
	// A bench in this process has set the collector to its own wants.
	limit, percent := debug.SetMemoryLimit(math.MaxInt64), debug.SetGCPercent(100)
	defer func() { debug.SetMemoryLimit(limit); debug.SetGCPercent(percent) }()
	prompt := strings.Repeat("天空为什么是蓝色的? why is the sky blue? ", 50)
	bare := cheapest(t, withConfig(t, "", nil), prompt, 0)
	for _, test := range []struct {
		words int
		most  time.Duration
	}{{10_000, 20 * time.Millisecond}, {100_000, 100 * time.Millisecond}} {
		env := withConfig(t, "filter: {file: words.txt, on: [prompt, answer]}\n", map[string]string{"words.txt": blockedWords(test.words)})
		added := cheapest(t, env, prompt, bare+test.most) - bare
		t.Logf("%d words add %s to an ask of %s", test.words, added, bare)
		if added > test.most {
			t.Errorf("%d words add %s, more than %s", test.words, added, test.most)
		}
	}
}

// cheapest is the least processor time of an ask in at least ten, and in more until one is good enough.
func cheapest(t *testing.T, env map[string]string, prompt string, enough time.Duration) time.Duration {
	t.Helper()
	best := time.Hour
	for tries := 0; tries < 10 || best > enough && tries < 60; tries++ {
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
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
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
