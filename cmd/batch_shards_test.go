//go:build unix

package cmd_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	shards     = 20
	shardItems = 400
	shardKills = 2 // per shard
)

// batchPod returns the command and the environment of the batch manifest's container, configured for the node at a
// URL.
func batchPod(t *testing.T, here place, url string) (run string, env []string) {
	config, jobs := manifest(t, "batch-job.yaml")
	equal(t, "indexes", jobs[0].Spec.Completions, shards)
	const address = "https://ai.example.com"
	contains(t, "the configuration", config, address)
	path := here.file(t, "config.yaml", strings.ReplaceAll(config, address, url), 0o600)
	return jobs[0].Spec.Template.Spec.Containers[0].Args[0], []string{"FERRY_CONFIG=" + path, "CLAUDE_KEY=some-key", "BATCH=" + here.dir}
}

// shardRig counts the items that arrive, and kills a shard's process after a given number of its requests.
type shardRig struct {
	t    *testing.T
	here place
	run  string
	env  []string

	mu   sync.Mutex
	seen map[string]int // number of requests, by item
	left map[string]int // requests until the shard's process is killed, by shard
	kill map[string]func()
}

// arrives records a request. Each shard has its own key.
func (s *shardRig) arrives(r recordedRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[itemName.FindString(r.body)]++
	shard := r.Header.Get("X-Api-Key")
	if s.left[shard]--; s.left[shard] == 0 {
		time.AfterFunc(time.Duration(rand.IntN(1500))*time.Microsecond, s.kill[shard])
	}
}

// pod runs the container of an index, and kills it after the given number of requests; 0 means never.
func (s *shardRig) pod(index, after int, run string) (code int, said string) {
	key := fmt.Sprintf("shard-key-%02d", index)
	c := exec.CommandContext(s.t.Context(), "sh", "-c", run)
	c.Env = slices.Concat(s.here.env, s.env, []string{fmt.Sprintf("JOB_COMPLETION_INDEX=%d", index), "CLAUDE_KEY=" + key})
	var errs strings.Builder
	c.Stderr = &errs
	s.mu.Lock()
	s.left[key], s.kill[key] = after, func() { _ = c.Process.Kill() } // it may have ended already
	err := c.Start()
	s.mu.Unlock()
	if err != nil {
		s.t.Error(err)
		return -1, ""
	}
	_ = c.Wait() // ProcessState has the result
	return c.ProcessState.ExitCode(), errs.String()
}

// TestShardsKilled runs a batch as 20 processes at once, each of them a shard as in the Kubernetes manifest. Each is
// killed twice and then runs to its end. The merged output has every item once, and no item was resent without
// --again.
func TestShardsKilled(t *testing.T) {
	skipIfShort(t, "dozens of processes")
	s := &shardRig{t: t, here: emptyPlace(t), seen: map[string]int{}, left: map[string]int{}, kill: map[string]func(){}}
	server := serve(t, nil, func(server *server) { server.arrives = s.arrives })
	s.run, s.env = batchPod(t, s.here, server.URL)
	var input strings.Builder
	want := map[string]bool{}
	for i := range shardItems {
		id := fmt.Sprintf("item-%d", i)
		fmt.Fprintf(&input, "{\"id\":%q,\"prompt\":\"%s and more\"}\n", id, id)
		want[id] = true
	}
	in := s.here.file(t, "in.jsonl", input.String(), 0o600)

	var killed, inFlight atomic.Int64
	s.all(func(index int) {
		for range shardKills {
			if code, _ := s.pod(index, 1+rand.IntN(8), s.run); code == -1 {
				killed.Add(1)
			}
		}
	})
	atLeast(t, "processes that were killed", killed.Load(), shards)
	outs, err := filepath.Glob(filepath.Join(s.here.dir, "out-*.jsonl"))
	check(t, err)
	merge := append([]string{"ask", "--batch", in, "--merge"}, outs...)
	ferry(t, nil, merge...).want(1, "", "without an answer: ")

	s.all(func(index int) {
		code, said := s.pod(index, 0, s.run)
		again := strings.Contains(said, "in flight")
		errorIf(t, code != 0 && !again || again && code != 1, "shard %d: exit code %d, want 0, or 1 where items were in flight: %s", index+1, code, said)
		if again {
			inFlight.Add(1)
		}
	})
	for item, times := range s.seen {
		equal(t, "times that "+item+" was sent without --again", times, 1)
	}
	s.all(func(index int) {
		code, said := s.pod(index, 0, strings.Replace(s.run, "ferry ask", "ferry ask --again", 1))
		errorIf(t, code != 0, "shard %d with --again: exit code %d, want 0: %s", index+1, code, said)
	})
	r := ferry(t, nil, merge...).want(0, "", fmt.Sprintf("%d of %d answered, in %d shards", shardItems, shardItems, shards))
	merged := s.here.file(t, "merged.jsonl", r.stdout, 0o600)
	equal(t, "the items of the merge", linesOf(t, merged), want)
	t.Logf("%d processes were killed; %d shards had items in flight", killed.Load(), inFlight.Load())
}

// all calls do for each index at once.
func (s *shardRig) all(do func(index int)) {
	var group sync.WaitGroup
	for index := range shards {
		group.Go(func() { do(index) })
	}
	group.Wait()
}
