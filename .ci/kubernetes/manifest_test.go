// Package kubernetes checks the manifests in testdata/kubernetes against the official Kubernetes types. It is a
// separate module, so that ferry's go.mod lists only the modules that ferry uses.
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

// Each manifest has a ConfigMap and its Jobs.
const benchJob, batchJob = "bench-job.yaml", "batch-job.yaml"

// manifest returns the YAML documents of a file.
func manifest(t *testing.T, name string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "kubernetes", name))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(text, []byte("\n---\n"))
}

// jobs decodes every document of a file strictly and returns the Jobs.
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
			t.Fatalf("%s: FailIndex requires restartPolicy Never and backoffLimitPerIndex", job.Name)
		}
		found = append(found, job)
	}
	return found
}

// keyFromSecret reports whether the key comes from a Secret and has no value in the manifest.
func keyFromSecret(container core.Container) bool {
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
		t.Error("a misspelled field was accepted")
	}
}

// TestNeverPaysTwice checks that the failure rules of the bench Jobs meet the API's requirements, and that the exit
// codes of bench, such as 5, fail the index, so that no Pod repeats the run.
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

// TestRegions checks that each bench Job has its own region, passes its name to ferry, and takes the key from a Secret.
func TestRegions(t *testing.T) {
	seen := map[string]bool{}
	for _, job := range jobs(t, benchJob) {
		pod := job.Spec.Template.Spec
		region := pod.NodeSelector[core.LabelTopologyRegion]
		if region == "" || seen[region] || !strings.HasSuffix(job.Name, region) {
			t.Errorf("%s: region %q", job.Name, region)
		}
		seen[region] = true
		named := slices.Contains(pod.Containers[0].Env, core.EnvVar{Name: "REGION", Value: region})
		if key := keyFromSecret(pod.Containers[0]); !named || !key {
			t.Errorf("%s: REGION is set: %t, key from a Secret: %t", job.Name, named, key)
		}
	}
}

// TestBatchResumes checks that the batch Job has one index for each shard, that only exit code 2 is final, because
// another Pod would fail with it too, and that its volume outlives the Pods and keeps private files private.
func TestBatchResumes(t *testing.T) {
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
		t.Errorf("the exit codes %v are final, want only 2", final)
	}
	grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
	if _, rest, _ := strings.Cut(run, "--timeout "); !strings.HasPrefix(rest, "2m ") || grace <= 2*time.Minute {
		t.Errorf("a Pod has %s to end, want more than the --timeout of %q", grace, run)
	}
	if !keyFromSecret(pod.Containers[0]) || *pod.SecurityContext.FSGroupChangePolicy != core.FSGroupChangeOnRootMismatch {
		t.Error("want the key from a Secret, and fsGroupChangePolicy OnRootMismatch, which keeps files private")
	}
	if !slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool { return v.Name == "batch" && v.PersistentVolumeClaim != nil }) {
		t.Error("want the volume batch to be a PersistentVolumeClaim, which outlives a Pod")
	}
}
