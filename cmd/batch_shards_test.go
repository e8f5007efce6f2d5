//go:build unix

package cmd_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v4"
)

const (
	shards     = 20
	shardItems = 400
)

// batchPod is what the container of the batch manifest runs, with its configuration for the node at a URL.
func batchPod(t *testing.T, here place, url string) (run string, env []string) {
	text := read(t, filepath.Join(checkout, "testdata", "kubernetes", "batch-job.yaml"))
	config, job, _ := strings.Cut(text, "\n---\n")
	var file struct{ Data map[string]string }
	check(t, yaml.Unmarshal([]byte(config), &file))
	var manifest struct {
		Spec struct {
			Completions int
			Template    struct {
				Spec struct{ Containers []struct{ Args []string } }
			}
		}
	}
	check(t, yaml.Unmarshal([]byte(job), &manifest))
	equal(t, "indexes", manifest.Spec.Completions, shards)
	const address = "https://ai.example.com"
	contains(t, "the configuration", file.Data["config.yaml"], address)
	path := here.file(t, "config.yaml", strings.ReplaceAll(file.Data["config.yaml"], address, url), 0o600)
	return manifest.Spec.Template.Spec.Containers[0].Args[0], []string{"FERRY_CONFIG=" + path, "CLAUDE_KEY=some-key", "BATCH=" + here.dir}
}

// TestShardsInKubernetes runs a batch as 20 processes at once, each a shard as the manifest for Kubernetes runs it, and
// half of them again: every item is sent once, and the merge has it once.
func TestShardsInKubernetes(t *testing.T) {
	long(t, "dozens of processes")
	here, node := emptyPlace(t), serve(t, nil)
	run, env := batchPod(t, here, node.URL)
	var input strings.Builder
	want := map[string]bool{}
	for i := range shardItems {
		id := fmt.Sprintf("item-%d", i)
		fmt.Fprintf(&input, "{\"id\":%q,\"prompt\":\"%s and more\"}\n", id, id)
		want[id] = true
	}
	in := here.file(t, "in.jsonl", input.String(), 0o600)
	pods := func(indexes int) {
		var all sync.WaitGroup
		for index := range indexes {
			all.Go(func() {
				c := exec.CommandContext(t.Context(), "sh", "-c", run)
				c.Env = slices.Concat(here.env, env, []string{fmt.Sprintf("JOB_COMPLETION_INDEX=%d", index)})
				said, err := c.CombinedOutput()
				errorIf(t, err != nil, "shard %d: %v, want exit code 0: %s", index+1, err, said)
			})
		}
		all.Wait()
	}
	merge := func() result {
		outs, err := filepath.Glob(filepath.Join(here.dir, "out-*.jsonl"))
		check(t, err)
		return ferry(t, nil, append([]string{"ask", "--batch", in, "--merge"}, outs...)...)
	}
	pods(shards / 2)
	merge().want(1, "", "without an answer: ")
	pods(shards)
	r := merge().want(0, "", fmt.Sprintf("%d of %d answered, in %d shards", shardItems, shardItems, shards))
	equal(t, "the items of the merge", linesOf(t, here.file(t, "merged.jsonl", r.stdout, 0o600)), want)
	equal(t, "requests", node.count(), shardItems)
}
