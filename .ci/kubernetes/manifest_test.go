// Package kubernetes holds the manifests of testdata/kubernetes to the official types of Kubernetes. It is a module of its own, so
// that ferry's go.mod lists only what ferry is made of.
package kubernetes

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// The manifests, each with a ConfigMap and its Jobs.
const benchJob, batchJob = "bench-job.yaml", "batch-job.yaml"

// manifest gives the documents of a file.
func manifest(t *testing.T, name string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "kubernetes", name))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(text, []byte("\n---\n"))
}

// jobs decodes every document strictly.
func jobs(t *testing.T, name string) []batch.Job {
	t.Helper()
	var found []batch.Job
	for i, document := range manifest(t, name) {
		if i == 0 {
			var file core.ConfigMap
			if err := yaml.UnmarshalStrict(document, &file); err != nil || file.Kind != "ConfigMap" || file.Data["config.yaml"] == "" {
				t.Errorf("%s: the first document: %v", name, err)
			}
			continue
		}
		var job batch.Job
		if err := yaml.UnmarshalStrict(document, &job); err != nil {
			t.Fatalf("%s: document %d: %v", name, i+1, err)
		}
		if job.APIVersion != "batch/v1" || job.Kind != "Job" || *job.Spec.CompletionMode != batch.IndexedCompletion {
			t.Errorf("%s: %s %s", job.Name, job.APIVersion, job.Kind)
		}
		spec := job.Spec
		if spec.Template.Spec.RestartPolicy != core.RestartPolicyNever || spec.BackoffLimitPerIndex == nil || spec.PodFailurePolicy == nil {
			t.Fatalf("%s: FailIndex wants restartPolicy Never and backoffLimitPerIndex", job.Name)
		}
		found = append(found, job)
	}
	return found
}

// keyFrom reports whether the key comes from a Secret, and nothing but from there.
func keyFrom(container core.Container) bool {
	return slices.ContainsFunc(container.Env, func(env core.EnvVar) bool {
		return env.Name == "CLAUDE_KEY" && env.Value == "" && env.ValueFrom.SecretKeyRef != nil
	})
}

func TestDecodesStrictly(t *testing.T) {
	if bench, batches := jobs(t, benchJob), jobs(t, batchJob); len(bench) < 2 || len(batches) != 1 {
		t.Errorf("%d and %d Jobs", len(bench), len(batches))
	}
	wrong := bytes.Replace(manifest(t, benchJob)[1], []byte("backoffLimitPerIndex"), []byte("backoffLimitPerindx"), 1)
	if err := yaml.UnmarshalStrict(wrong, &batch.Job{}); err == nil {
		t.Error("a misspelt field was taken")
	}
}

// TestNeverPaysTwice holds the rules to what Kubernetes asks of them, and the codes of bench to FailIndex.
func TestNeverPaysTwice(t *testing.T) {
	for _, job := range jobs(t, benchJob) {
		spec, pod := job.Spec, job.Spec.Template.Spec
		if *spec.MaxFailedIndexes > *spec.Completions {
			t.Errorf("%s: more failed indexes than indexes", job.Name)
		}
		for _, rule := range spec.PodFailurePolicy.Rules {
			codes := rule.OnExitCodes
			if rule.Action != batch.PodFailurePolicyActionFailIndex || codes == nil || codes.Operator != batch.PodFailurePolicyOnExitCodesOpIn ||
				*codes.ContainerName != pod.Containers[0].Name || !slices.Contains(codes.Values, 5) || !slices.IsSorted(codes.Values) {
				t.Errorf("%s: %+v", job.Name, rule)
			}
		}
		if len(spec.PodFailurePolicy.Rules) != 1 {
			t.Errorf("%s: %d rules", job.Name, len(spec.PodFailurePolicy.Rules))
		}
	}
}

// TestPlaces holds that each Job is bound to a region of its own and says so in its runs, and where the key comes from.
func TestPlaces(t *testing.T) {
	seen := map[string]bool{}
	for _, job := range jobs(t, benchJob) {
		pod := job.Spec.Template.Spec
		region := pod.NodeSelector[core.LabelTopologyRegion]
		if region == "" || seen[region] || !strings.HasSuffix(job.Name, region) {
			t.Errorf("%s: region %q", job.Name, region)
		}
		seen[region] = true
		said := slices.Contains(pod.Containers[0].Env, core.EnvVar{Name: "REGION", Value: region})
		if key := keyFrom(pod.Containers[0]); !said || !key {
			t.Errorf("%s: region said %t, key from a Secret %t", job.Name, said, key)
		}
	}
}

// TestBatchGoesOn holds the batch to an index for each shard, to exit codes that are final only where another Pod would end
// the same, and to a volume that outlives the Pods and leaves private files private.
func TestBatchGoesOn(t *testing.T) {
	job := jobs(t, batchJob)[0]
	pod := job.Spec.Template.Spec
	run := pod.Containers[0].Args[0]
	for _, words := range []string{"$((JOB_COMPLETION_INDEX + 1))", fmt.Sprintf(`--shard "$shard/%d"`, *job.Spec.Completions), "exec ferry ask "} {
		if !strings.Contains(run, words) {
			t.Errorf("the container runs %q, want %q in it", run, words)
		}
	}
	var final []int32
	for _, rule := range job.Spec.PodFailurePolicy.Rules {
		if rule.Action == batch.PodFailurePolicyActionFailIndex && *rule.OnExitCodes.ContainerName == pod.Containers[0].Name {
			final = append(final, rule.OnExitCodes.Values...)
		}
	}
	if !slices.Equal(final, []int32{2}) {
		t.Errorf("the exit codes %v are final, want 2 alone", final)
	}
	grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
	if _, rest, _ := strings.Cut(run, "--timeout "); !strings.HasPrefix(rest, "2m ") || grace <= 2*time.Minute {
		t.Errorf("a Pod has %s to end, want more than the --timeout of %q", grace, run)
	}
	if !keyFrom(pod.Containers[0]) || *pod.SecurityContext.FSGroupChangePolicy != core.FSGroupChangeOnRootMismatch {
		t.Error("the key is to come from a Secret, and the files are to stay private")
	}
	if !slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool { return v.Name == "batch" && v.PersistentVolumeClaim != nil }) {
		t.Error("the files of the batch are to outlive a Pod")
	}
}
