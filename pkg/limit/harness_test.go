package limit

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/pkg/state"
)

const (
	takeEnv  = "FERRY_TEST_TAKE"  // DIR, rate, burst and how many turns, separated by newlines
	moveEnv  = "FERRY_TEST_MOVE"  // DIR, rate, how many turns, and how many of them to cancel, likewise
	spendEnv = "FERRY_TEST_SPEND" // DIR, budget, worst and how many tries, likewise
	holdEnv  = "FERRY_TEST_HOLD"  // DIR, whose bucket's lock is to be held until the process is killed
	asEnv    = "FERRY_TEST_AS"    // DIR, to be used as a user who may not write there
	fullEnv  = "FERRY_TEST_FULL"  // DIR, to be used where no file may grow
)

// TestMain turns the test binary into another ferry where a test needs one.
func TestMain(m *testing.M) {
	var err error
	if task := os.Getenv(takeEnv); task != "" {
		err = takeTurns(strings.Split(task, "\n"))
	} else if task := os.Getenv(moveEnv); task != "" {
		err = cancelTurns(strings.Split(task, "\n"))
	} else if task := os.Getenv(spendEnv); task != "" {
		err = spendTokens(strings.Split(task, "\n"))
	} else if dir := os.Getenv(holdEnv); dir != "" {
		err = holdLock(dir)
	} else if dir := os.Getenv(asEnv); dir != "" {
		err = useUnwritable(dir)
	} else if dir := os.Getenv(fullEnv); dir != "" {
		err = useFull(dir)
	} else {
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const address = "https://node.example/api"

// busy is how long a test waits for a lock: no machine is so busy that only a hang takes longer.
const busy = time.Minute

// fakeClock is a machine whose clocks a test sets.
type fakeClock struct {
	mu   sync.Mutex
	boot time.Duration
	id   string
	wall time.Time
}

func newFakeClock() *fakeClock {
	return &fakeClock{boot: 1000 * time.Second, id: "boot-1", wall: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *fakeClock) Boottime() (time.Duration, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.boot, c.id
}

// pass lets time go by on both clocks.
func (c *fakeClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boot, c.wall = c.boot+d, c.wall.Add(d)
}

func (c *fakeClock) set(change func(*fakeClock)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

func newTestBucket(t *testing.T, dir string, rate Rate, c Clock) *Bucket {
	t.Helper()
	b, err := NewBucket(dir, address, rate, c)
	if err != nil {
		t.Fatal(err)
	}
	b.lockTimeout = busy
	return b
}

// reserve takes a turn that has to be had, from a bucket that has to be shared.
func reserve(t *testing.T, b *Bucket) *Reservation {
	t.Helper()
	r, err := b.Reserve(t.Context(), Forever)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Degraded(); err != nil {
		t.Fatal(err)
	}
	return r
}

// waits takes turns and tells how long each has to wait.
func waits(t *testing.T, b *Bucket, n int) string {
	t.Helper()
	var all []string
	for range n {
		all = append(all, reserve(t, b).Wait.String())
	}
	return strings.Join(all, " ")
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func path(dir, suffix string) string { return filepath.Join(dir, Place(address)+suffix) }

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs the test binary as another ferry, whose lines come out of the scanner.
func start(t *testing.T, env string, task ...any) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), env+"="+strings.TrimSuffix(strings.ReplaceAll(fmt.Sprintln(task...), " ", "\n"), "\n"))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	return child, bufio.NewReader(out)
}

// takeTurns prints, for each turn that it takes, when it comes and what the bucket's state is after it.
func takeTurns(task []string) error {
	dir := task[0]
	rate, err := ParseRate(task[1])
	if err != nil {
		return err
	}
	if rate.Burst, err = strconv.Atoi(task[2]); err != nil {
		return err
	}
	n, err := strconv.Atoi(task[3])
	if err != nil {
		return err
	}
	b, err := NewBucket(dir, address, rate, NewClock())
	if err != nil {
		return err
	}
	b.lockTimeout = busy
	for range n {
		r, err := b.Reserve(context.Background(), Forever)
		if err != nil {
			return err
		}
		if err := b.Degraded(); err != nil {
			return err
		}
		fmt.Println(r.first, arrival(b.memory))
	}
	return nil
}

// cancelTurns takes turns, cancels some of them at random, says so, waits until the lock "go" is free and prints when the
// others come.
func cancelTurns(task []string) error {
	dir, ctx := task[0], context.Background()
	rate, err := ParseRate(task[1])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(task[2])
	if err != nil {
		return err
	}
	cancels, err := strconv.Atoi(task[3])
	if err != nil {
		return err
	}
	b, err := NewBucket(dir, address, rate, NewClock())
	if err != nil {
		return err
	}
	var taken []*Reservation
	for i := range n {
		r, err := b.Reserve(ctx, Forever)
		if err != nil {
			return err
		}
		taken = append(taken, r)
		if i < n-cancels {
			continue
		}
		which := rand.IntN(len(taken))
		if !taken[which].Cancel() {
			return fmt.Errorf("a turn in %v was not given back", taken[which].Left())
		}
		taken = slices.Delete(taken, which, which+1)
	}
	fmt.Println("cancelled")
	unlock, err := state.Lock(ctx, filepath.Join(dir, "go"))
	if err != nil {
		return err
	}
	unlock()
	for _, r := range taken {
		if err := r.Sleep(ctx, 1, func(context.Context, time.Duration) error { return nil }); err != nil {
			return err
		}
		fmt.Println(r.first - int64(r.earlier)*int64(rate.interval()))
	}
	return b.Degraded()
}

// arrival is the theoretical arrival time of the next request after a state, on the clock that counts.
func arrival(q queue) int64 { return q.At.instant() + int64(q.Ahead) }

// spendTokens prints a line for each request that the budget allows.
func spendTokens(task []string) error {
	dir := task[0]
	var number [3]int64
	for i := range number {
		var err error
		if number[i], err = strconv.ParseInt(task[i+1], 10, 64); err != nil {
			return err
		}
	}
	l := NewLedger(dir, address, "node", Budget(number[0]), NewClock())
	l.lockTimeout = busy
	for range number[2] {
		h, err := l.Hold(context.Background(), number[1], time.Hour)
		if err != nil {
			fmt.Println("refused")
			continue
		}
		if err := h.Spend(number[1]-1, 1); err != nil {
			return err
		}
		if err := l.Degraded(); err != nil {
			return err
		}
		fmt.Println("spent")
	}
	return nil
}

// holdLock takes the bucket's lock, says so, and keeps it.
func holdLock(dir string) error {
	if _, err := state.Lock(context.Background(), path(dir, ".bucket.lock")); err != nil {
		return err
	}
	fmt.Println("held")
	select {}
}
