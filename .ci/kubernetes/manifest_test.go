// Package kubernetes holds the manifest of the README to the official types of Kubernetes. It is a module of its own, so
// that ferry's go.mod lists only what ferry is made of.
package kubernetes

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// manifest gives the documents of the file.
func manifest(t *testing.T) [][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "kubernetes", "bench-job.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(text, []byte("\n---\n"))
}

// jobs decodes every document strictly.
func jobs(t *testing.T) []batch.Job {
	t.Helper()
	var found []batch.Job
	for i, document := range manifest(t) {
		if i == 0 {
			var file core.ConfigMap
			if err := yaml.UnmarshalStrict(document, &file); err != nil || file.Kind != "ConfigMap" || file.Data["config.yaml"] == "" {
				t.Errorf("the first document: %v", err)
			}
			continue
		}
		var job batch.Job
		if err := yaml.UnmarshalStrict(document, &job); err != nil {
			t.Fatalf("document %d: %v", i+1, err)
		}
		found = append(found, job)
	}
	if len(found) < 2 {
		t.Fatalf("%d Jobs", len(found))
	}
	return found
}

func TestDecodesStrictly(t *testing.T) {
	for _, job := range jobs(t) {
		if job.APIVersion != "batch/v1" || job.Kind != "Job" || *job.Spec.CompletionMode != batch.IndexedCompletion {
			t.Errorf("%s: %s %s", job.Name, job.APIVersion, job.Kind)
		}
	}
	wrong := bytes.Replace(manifest(t)[1], []byte("backoffLimitPerIndex"), []byte("backoffLimitPerindx"), 1)
	if err := yaml.UnmarshalStrict(wrong, &batch.Job{}); err == nil {
		t.Error("a misspelt field was taken")
	}
}

// TestNeverPaysTwice holds the rules to what Kubernetes asks of them, and the codes of bench to FailIndex.
func TestNeverPaysTwice(t *testing.T) {
	for _, job := range jobs(t) {
		spec, pod := job.Spec, job.Spec.Template.Spec
		if pod.RestartPolicy != core.RestartPolicyNever || spec.BackoffLimitPerIndex == nil || spec.PodFailurePolicy == nil {
			t.Fatalf("%s: FailIndex wants restartPolicy Never and backoffLimitPerIndex", job.Name)
		}
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
	for _, job := range jobs(t) {
		pod := job.Spec.Template.Spec
		region := pod.NodeSelector[core.LabelTopologyRegion]
		if region == "" || seen[region] || !strings.HasSuffix(job.Name, region) {
			t.Errorf("%s: region %q", job.Name, region)
		}
		seen[region] = true
		var said, key bool
		for _, env := range pod.Containers[0].Env {
			said = said || env.Name == "REGION" && env.Value == region
			key = key || env.Name == "CLAUDE_KEY" && env.Value == "" && env.ValueFrom.SecretKeyRef != nil
		}
		if !said || !key {
			t.Errorf("%s: region said %t, key from a Secret %t", job.Name, said, key)
		}
	}
}
