package report

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestJSONSchema checks by name that every report has the fields of the schema.
func TestJSONSchema(t *testing.T) {
	for name, s := range fixtures() {
		got := write(t, JSON, s, Options{})
		if !strings.HasSuffix(got, "}\n") || strings.HasSuffix(got, "\n\n") {
			t.Errorf("%s does not end in one newline", name)
		}
		var report map[string]any
		if err := json.Unmarshal([]byte(got), &report); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkKeys(t, name, report, "schema model prompt_sha256 started requests connections nodes warnings")
		for _, n := range report["nodes"].([]any) {
			node := n.(map[string]any)
			checkKeys(t, name, node, "node label url_host requests ok success_rate success_ci latency_ms ttft_ms itl_ms phases_ms errors vs_reference")
			checkKeys(t, name, node["latency_ms"].(map[string]any), "mean sd min p50 p90 p95 p99 max")
			checkKeys(t, name, node["phases_ms"].(map[string]any), "dns connect tls wait transfer")
			if v, ok := node["vs_reference"].(map[string]any); ok {
				checkKeys(t, name, v, "paired_ratio ci verdict reference_p50_ms shapes_differ")
			}
		}
	}
}

func checkKeys(t *testing.T, name string, object map[string]any, keys string) {
	t.Helper()
	for _, key := range strings.Fields(keys) {
		if _, ok := object[key]; !ok {
			t.Errorf("%s: %s is missing", name, key)
		}
	}
}

func TestCSV(t *testing.T) {
	for name, s := range fixtures() {
		rows, err := csv.NewReader(strings.NewReader(write(t, CSV, s, Options{}))).ReadAll()
		if want := 1 + len(s.Rows); err != nil || len(rows) != want {
			t.Fatalf("%s: got %d rows, %v, want %d", name, len(rows), err, want)
		}
		for _, row := range rows[1:] {
			for c, value := range row {
				if value != "" && strings.ContainsRune("=+@\t\r", rune(value[0])) {
					t.Errorf("%s: %s is %q", name, rows[0][c], value)
				}
			}
		}
	}
}

func TestJUnit(t *testing.T) {
	for name, s := range fixtures() {
		text := write(t, JUnit, s, Options{Checks: append(checks(), check(evil+":p95<1s", evil, evil, true))})
		var got junitSuites
		if err := xml.Unmarshal([]byte(text), &got); err != nil || len(got.Suites) != 1 {
			t.Fatalf("%s: %v in\n%s", name, err, text)
		}
		failures, want := 0, 2 // of the thresholds
		for _, c := range got.Suites[0].Cases {
			if c.Failure != nil {
				failures++
			}
		}
		for _, r := range s.Rows {
			if r.OK == 0 {
				want++
			}
		}
		for _, counts := range []junitCounts{got.junitCounts, got.Suites[0].junitCounts} {
			if counts.Tests != len(s.Rows)+3 || counts.Failures != want || failures != want || len(got.Suites[0].Cases) != counts.Tests {
				t.Errorf("%s: got %+v and %d failures, want %d of %d", name, counts, failures, want, len(s.Rows)+3)
			}
		}
	}
}

// A test case has the same name whether its threshold was kept or missed, so that a CI server shows its history.
func TestJUnitNames(t *testing.T) {
	kept, missed := junitCheck(check("p95<1s", "direct", "0.9 s", false)), junitCheck(check("p95<1s", "direct", "2 s", true))
	if kept.Name != "direct:p95<1s" || missed.Name != kept.Name {
		t.Errorf("got the names %q and %q, want direct:p95<1s twice", kept.Name, missed.Name)
	}
}

func TestPrometheus(t *testing.T) {
	for name, s := range fixtures() {
		if err := exposes(write(t, Prometheus, s, Options{})); err != "" {
			t.Errorf("%s: %s", name, err)
		}
	}
	// The checker finds the faults that it is made for.
	const head = "# HELP a x\n# TYPE a gauge\n"
	for _, bad := range []string{"a 1\n", head + "a NaN\n", head + "a 1\na 2\n", head + "a{b=\"\"c\"} 1\n", head + "a 1",
		head + "a 1\n" + "# HELP b x\n# TYPE b gauge\nb 1\na{c=\"d\"} 2\n", head} {
		if exposes(bad) == "" {
			t.Errorf("the checker takes %q", bad)
		}
	}
}

// TestPromtool runs Prometheus' own checks of names, types and units on the metrics.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		needed(t, "promtool, of Debian's package prometheus")
	}
	check := func(text string) string {
		cmd := exec.Command(promtool, "check", "metrics")
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Sprintf("%v: %s", err, out)
		}
		return string(out)
	}
	for name, s := range fixtures() {
		if got := check(write(t, Prometheus, s, Options{})); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := check("# HELP a_ms x\n# TYPE a_ms counter\na_ms 1\n"); got == "" {
		t.Error("promtool takes a counter in milliseconds without _total")
	}
}

// exposes checks text in the exposition format 0.0.4 as strictly as node_exporter and a little more: each metric
// complete and in one place, with HELP and TYPE before it, no duplicate samples, no NaN. It returns what is wrong.
func exposes(text string) string {
	sample := regexp.MustCompile(`^([a-z_]+)(\{[a-z_][a-z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-z_][a-z0-9_]*="(?:[^"\\\n]|\\[\\"n])*")*\})? (\S+)$`)
	typed, histogramSuffix := regexp.MustCompile(`^# TYPE \S+ (gauge|counter|histogram)$`), regexp.MustCompile(`_(bucket|sum|count)$`)
	seen := map[string]bool{}
	metrics := strings.Split(text, "# HELP ")
	for _, metric := range metrics[1:] {
		name, lines := strings.Fields(metric)[0], strings.Split(metric, "\n")
		if len(lines) < 4 || lines[len(lines)-1] != "" || !typed.MatchString(lines[1]) || strings.Fields(lines[1])[2] != name || seen["# "+name] {
			return "twice, empty, cut, or without a type: " + metric
		}
		seen["# "+name] = true
		for _, line := range lines[2 : len(lines)-1] {
			m := sample.FindStringSubmatch(line)
			if m == nil || m[1] != name && histogramSuffix.ReplaceAllString(m[1], "") != name || seen[m[1]+m[2]] {
				return "not a new sample of " + name + ": " + line
			}
			if v, err := strconv.ParseFloat(m[3], 64); err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
				return "no value: " + line
			}
			seen[m[1]+m[2]] = true
		}
	}
	return metrics[0]
}
