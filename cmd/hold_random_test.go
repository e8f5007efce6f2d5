//go:build linux

package cmd_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestHoldKilledAtRandom kills holders at random moments of calls: some time after their start, or a little after a step
// that the server sees. No prompt comes twice, exit code 0 is the whole answer, and a failure says whether the request may
// have arrived. -kills 1000 kills more.
func TestHoldKilledAtRandom(t *testing.T) {
	long(t, "kills sixty holders")
	const lanes = 3
	for lane := range lanes {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			l := &holdLane{random: rand.New(rand.NewPCG(seed, 0))}
			l.rig, l.server = secureHoldRig(t)
			for round := 0; l.killed.Load() < int64(*kills/lanes) && !t.Failed(); round++ {
				l.round(round)
			}
			t.Logf("seed %d: %d kills; of the calls %d ended whole, %d failed, %d of these without a request at the server",
				seed, l.killed.Load(), l.whole, l.failed, l.unsent)
		})
	}
}

// holdLane is one user who makes a few calls at once, round after round, each with a kill.
type holdLane struct {
	rig    *holdRig
	server *holdServer
	random *rand.Rand
	killed atomic.Int64

	whole, failed, unsent int
}

func (l *holdLane) round(number int) {
	var once sync.Once
	var shots sync.WaitGroup
	shoot := func() {
		once.Do(func() {
			for _, pid := range l.rig.holders() {
				if syscall.Kill(pid, syscall.SIGKILL) == nil {
					l.killed.Add(1)
				}
			}
		})
		shots.Done()
	}
	shots.Add(1)
	if l.random.IntN(3) > 0 {
		var steps atomic.Int64
		at := int64(1 + l.random.IntN(10))
		later := time.Duration(l.random.IntN(1000)) * time.Microsecond
		l.server.setTrap(func() {
			if steps.Add(1) == at {
				time.AfterFunc(later, shoot)
			}
		})
		defer func() {
			if steps.Add(at) < 2*at {
				shots.Done() // nobody shoots: fewer steps were seen
			}
			shots.Wait()
		}()
	} else {
		time.AfterFunc(time.Duration(l.random.IntN(60_000))*time.Microsecond, shoot)
		defer shots.Wait()
	}
	l.calls(number)
	l.server.setTrap(nil)
}

// calls makes the calls of a round and judges them.
func (l *holdLane) calls(number int) {
	all := map[string]*exec.Cmd{}
	for i, verb := range []string{"ask", "ask", "stream"} {
		prompt := fmt.Sprintf("prompt %d of round %d", i, number)
		c := l.rig.ask(verb, prompt, "-o", "json", "--timeout", "20s")
		c.Stdout, c.Stderr = new(bytes.Buffer), new(bytes.Buffer)
		check(l.rig.t, c.Start())
		all[prompt] = c
	}
	for prompt, c := range all {
		l.judge(prompt, l.rig.wait(c))
	}
}

func (l *holdLane) judge(prompt string, call heldCall) {
	times := l.server.times(prompt)
	bad := func(what string) {
		l.rig.t.Errorf("%s: %q came %d times, exit code %d: %s%s", what, prompt, times, call.code, call.stdout, call.stderr)
	}
	if times > 1 {
		bad("twice")
	}
	switch {
	case call.code == 0:
		l.whole++
		if times != 1 || call.Text != answerTo(prompt) || len(call.Attempts) != 1 {
			bad("not whole")
		}
	case call.code != 1 || call.Error == nil || len(call.Attempts) != 1:
		bad("no honest failure")
	default:
		l.failed++
		if times == 0 {
			l.unsent++
		}
		known := slices.Contains([]string{"reset", "truncated"}, call.Error.Class)
		if !known || !call.Attempts[0].Ambiguous || !call.Attempts[0].Held {
			bad("what it says of its failure")
		}
	}
}
