package limit

import (
	"bufio"
	"context"
	"errors"
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

const taskEnv = "FERRY_TEST_TASK"

// tasks are the tasks of the test binary as another ferry process, with their folder and numbers.
var tasks = map[string]func(dir string, n []int) error{
	"reserve": reserveMany, // rate per minute, burst and number of reservations
	"cancel":  cancelSome,  // rate per minute, burst, number of reservations, number of cancellations
	"spend":   spendTokens, // budget, worst and number of attempts
}

// TestMain runs the test binary as another ferry process if a test starts it so.
func TestMain(m *testing.M) {
	args := strings.Split(os.Getenv(taskEnv), "\n")
	task := tasks[args[0]]
	if task == nil {
		os.Exit(m.Run())
	}
	var numbers []int
	for _, arg := range args[2:] {
		n, err := strconv.Atoi(arg)
		if err != nil {
			panic(err)
		}
		numbers = append(numbers, n)
	}
	if err := task(args[1], numbers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const address = "https://node.example/api"

// busy is how long a test waits for a lock. Only a hang takes longer, even on a busy machine.
const busy = time.Minute

// fakeClock is a Clock that a test sets.
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

// pass advances both clocks.
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

// machine is a folder of limits that several buckets and ledgers share, as if each were in its own process, and their
// clock.
type machine struct {
	*fakeClock
	t   *testing.T
	dir string
}

// newMachine returns a machine whose folder is missing if its name below an existing one is given.
func newMachine(t *testing.T, below ...string) *machine {
	t.Helper()
	return &machine{newFakeClock(), t, filepath.Join(append([]string{t.TempDir()}, below...)...)}
}

// bucket returns a bucket as another process has it.
func (m *machine) bucket(rate Rate) *Bucket {
	m.t.Helper()
	return newTestBucket(m.t, m.dir, rate, m.fakeClock)
}

// ledger returns a ledger as another process has it.
func (m *machine) ledger(budget int64) *Ledger { return m.ledgerOf("node", budget) }

func (m *machine) ledgerOf(node string, budget int64) *Ledger {
	return NewLedger(m.dir, address, node, budget, m.fakeClock)
}

func (m *machine) path(suffix string) string { return path(m.dir, suffix) }

func newTestBucket(t *testing.T, dir string, rate Rate, c Clock) *Bucket {
	t.Helper()
	b, err := NewBucket(dir, address, rate, c)
	must(t, err)
	b.lockTimeout = busy
	return b
}

// reserve makes a reservation that must succeed, from a bucket that must be shared.
func reserve(t *testing.T, b *Bucket) *Reservation {
	t.Helper()
	r, err := b.Reserve(t.Context(), Forever)
	must(t, err, b.Degraded())
	return r
}

// waits makes reservations and returns how long each has to wait.
func waits(t *testing.T, b *Bucket, n int) string {
	t.Helper()
	var all []string
	for range n {
		all = append(all, reserve(t, b).Wait.String())
	}
	return strings.Join(all, " ")
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	errorIf(t, got != want, "%s: got %v, want %v", what, got, want)
}

// errorIf reports an error if wrong is true.
func errorIf(t *testing.T, wrong bool, format string, args ...any) {
	t.Helper()
	if wrong {
		t.Errorf(format, args...)
	}
}

// fatalIf fails and ends the test if wrong is true.
func fatalIf(t *testing.T, wrong bool, format string, args ...any) {
	t.Helper()
	if wrong {
		t.Fatalf(format, args...)
	}
}

func path(dir, suffix string) string { return filepath.Join(dir, AddressKey(address)+suffix) }

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	must(t, os.WriteFile(name, data, 0o600))
}

// start runs the test binary as another ferry process, whose output lines are read from the reader.
func start(t *testing.T, task, dir string, numbers ...int) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	child := exec.CommandContext(t.Context(), self)
	task += "\n" + dir
	for _, n := range numbers {
		task += fmt.Sprint("\n", n)
	}
	child.Env = append(os.Environ(), taskEnv+"="+task)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	must(t, err)
	return child, bufio.NewReader(out)
}

// taskBucket returns the bucket of a task.
func taskBucket(dir string, events, burst int) (*Bucket, error) {
	b, err := NewBucket(dir, address, Rate{events, time.Minute, burst}, NewClock())
	if err == nil {
		b.lockTimeout = busy
	}
	return b, err
}

// reserveMany prints, for each reservation that it makes, its due time and the bucket's state after it.
func reserveMany(dir string, n []int) error {
	b, err := taskBucket(dir, n[0], n[1])
	if err != nil {
		return err
	}
	for range n[2] {
		r, err := b.Reserve(context.Background(), Forever)
		if err := errors.Join(err, b.Degraded()); err != nil {
			return err
		}
		fmt.Println(r.first, arrival(b.memory))
	}
	return nil
}

// cancelSome makes reservations, cancels some of them at random, reports that, waits until the lock "go" is free and
// prints when the others are due.
func cancelSome(dir string, n []int) error {
	ctx := context.Background()
	b, err := taskBucket(dir, n[0], n[1])
	if err != nil {
		return err
	}
	var taken []*Reservation
	for i := range n[2] {
		r, err := b.Reserve(ctx, Forever)
		if err != nil {
			return err
		}
		taken = append(taken, r)
		if i < n[2]-n[3] {
			continue
		}
		which := rand.IntN(len(taken))
		if !taken[which].Cancel() {
			return fmt.Errorf("a reservation due in %v was not cancelled", taken[which].Left())
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
		if err := r.check(ctx); err != nil {
			return err
		}
		fmt.Println(r.first - int64(r.earlier)*int64(b.rate.interval()))
	}
	return b.Degraded()
}

// check checks the bucket like a waiting reservation, without waiting.
func (r *Reservation) check(ctx context.Context) error {
	return r.bucket.change(ctx, farFuture, func(q queue) (queue, bool) { r.update(q); return q, false })
}

// arrival returns the theoretical arrival time of the next request after a state, as reading.instant.
func arrival(q queue) int64 { return q.At.instant() + int64(q.Ahead) }

// spendTokens prints a line for each request that the budget allows.
func spendTokens(dir string, n []int) error {
	worst := int64(n[1])
	l := NewLedger(dir, address, "node", int64(n[0]), NewClock())
	l.lockTimeout = busy
	for range n[2] {
		h, err := l.Reserve(context.Background(), worst, time.Hour)
		if err != nil {
			fmt.Println("refused")
			continue
		}
		if err := errors.Join(h.Charge(worst-1, 1), l.Degraded()); err != nil {
			return err
		}
		fmt.Println("spent")
	}
	return nil
}
