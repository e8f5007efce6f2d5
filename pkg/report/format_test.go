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

// TestJSONSchema holds the fields that the design promises, by name, in every report.
func TestJSONSchema(t *testing.T) {
	for name, fixture := range fixtures() {
		got := write(t, JSON, fixture(), Options{})
		if !strings.HasSuffix(got, "}\n") || strings.HasSuffix(got, "\n\n") {
			t.Errorf("%s does not end in one newline", name)
		}
		var report map[string]any
		if err := json.Unmarshal([]byte(got), &report); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		hold(t, name, report, "schema model prompt_sha256 started requests connections nodes warnings")
		for _, n := range report["nodes"].([]any) {
			node := n.(map[string]any)
			hold(t, name, node, "node label url_host requests ok success_rate success_ci latency_ms ttft_ms itl_ms phases_ms errors vs_reference")
			hold(t, name, node["latency_ms"].(map[string]any), "mean sd min p50 p90 p95 p99 max")
			hold(t, name, node["phases_ms"].(map[string]any), "dns connect tls wait transfer")
			if v, ok := node["vs_reference"].(map[string]any); ok {
				hold(t, name, v, "paired_ratio ci verdict reference_p50_ms shapes_differ")
			}
		}
	}
}

func hold(t *testing.T, name string, object map[string]any, keys string) {
	t.Helper()
	for _, key := range strings.Fields(keys) {
		if _, ok := object[key]; !ok {
			t.Errorf("%s: %s is missing", name, key)
		}
	}
}

func TestCSV(t *testing.T) {
	for name, fixture := range fixtures() {
		rows, err := csv.NewReader(strings.NewReader(write(t, CSV, fixture(), Options{}))).ReadAll()
		if want := 1 + len(fixture().Rows); err != nil || len(rows) != want {
			t.Fatalf("%s: got %d rows, %v, want %d", name, len(rows), err, want)
		}
		for _, row := range rows[1:] {
			for c, value := range row {
				if value != "" && strings.ContainsRune("=+@\t\r", rune(value[0])) || strings.Contains(value, "NaN") || strings.Contains(value, "Inf") {
					t.Errorf("%s: %s is %q", name, rows[0][c], value)
				}
			}
		}
	}
	for in, want := range map[string]string{"=1": "'=1", "-x": "'-x", "+": "'+", "@a": "'@a", "a=b": "a=b", "": "", "\t=1": `\t=1`} {
		if got := harmless(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestJUnit(t *testing.T) {
	for name, fixture := range fixtures() {
		s := fixture()
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

// A test case has the same name whether its threshold was kept or missed, so that a CI server sees its history.
func TestJUnitNames(t *testing.T) {
	kept, missed := junitCheck(check("p95<1s", "direct", "0.9 s", false)), junitCheck(check("p95<1s", "direct", "2 s", true))
	if kept.Name != "direct:p95<1s" || missed.Name != kept.Name {
		t.Errorf("got the names %q and %q, want direct:p95<1s twice", kept.Name, missed.Name)
	}
}

func TestPrometheus(t *testing.T) {
	for name, fixture := range fixtures() {
		got := write(t, Prometheus, fixture(), Options{})
		if err := exposes(got); err != "" {
			t.Errorf("%s: %s", name, err)
		}
	}
	got := write(t, Prometheus, three(), Options{})
	for _, want := range []string{
		`ferry_bench_success_ratio{node="hongkong",connection="cold"} 0.98`,
		`ferry_bench_failures_total{node="direct",connection="cold",class="5xx"} 11`,
		`ferry_bench_latency_seconds_bucket{node="hongkong",connection="cold",le="1"} 82`,
		`ferry_bench_latency_seconds_bucket{node="hongkong",connection="cold",le="+Inf"} 98`,
		`ferry_bench_latency_seconds_count{node="hongkong",connection="cold"} 98`,
		`ferry_bench_last_run_timestamp_seconds 1795407065`,
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("%s is missing from\n%s", want, got)
		}
	}
	lastRun := days()
	if got, want := write(t, Prometheus, lastRun, Options{}), fmt.Sprintf("\nferry_bench_last_run_timestamp_seconds %d\n", lastRun.LastStarted.Unix()); !strings.Contains(got, want) {
		t.Errorf("of several runs: got %s, want%s", got, want)
	}
	// The checker finds what it is there to find.
	const head = "# HELP a x\n# TYPE a gauge\n"
	for _, bad := range []string{"a 1\n", head + "a NaN\n", head + "a 1\na 2\n", head + "a{b=\"\"c\"} 1\n", head + "a 1",
		head + "a 1\n" + "# HELP b x\n# TYPE b gauge\nb 1\na{c=\"d\"} 2\n", head} {
		if exposes(bad) == "" {
			t.Errorf("the checker takes %q", bad)
		}
	}
}

// TestPromtool holds the metrics to Prometheus' own checks of names, types and units.
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
	for name, fixture := range fixtures() {
		if got := check(write(t, Prometheus, fixture(), Options{})); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := check("# HELP a_ms x\n# TYPE a_ms counter\na_ms 1\n"); got == "" {
		t.Error("promtool takes a counter in milliseconds without _total")
	}
}

// exposes checks a text in the exposition format 0.0.4 as strictly as node_exporter takes it and a little more: each metric
// whole and in one place, with HELP and TYPE before it, no sample twice, no NaN. It says what is wrong.
func exposes(text string) string {
	sample := regexp.MustCompile(`^([a-z_]+)(\{[a-z_][a-z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-z_][a-z0-9_]*="(?:[^"\\\n]|\\[\\"n])*")*\})? (\S+)$`)
	typed, histogramSuffix := regexp.MustCompile(`^# TYPE \S+ (gauge|counter|histogram)$`), regexp.MustCompile(`_(bucket|sum|count)$`)
	if !strings.HasSuffix(text, "\n") {
		return "the last line has no end"
	}
	seen, done, metric, samples := map[string]bool{}, map[string]bool{}, "", 1
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "# HELP ") {
			name := strings.Fields(line)[2]
			if done[name] || samples == 0 || i+1 == len(lines) || !typed.MatchString(lines[i+1]) || strings.Fields(lines[i+1])[2] != name {
				return "twice, empty, or without a type: " + line
			}
			done[name], metric, samples = true, name, 0
			continue
		}
		if strings.HasPrefix(line, "# TYPE ") {
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil || m[1] != metric && histogramSuffix.ReplaceAllString(m[1], "") != metric || seen[m[1]+m[2]] {
			return "not a new sample of " + metric + ": " + line
		}
		if v, err := strconv.ParseFloat(m[3], 64); err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return "no value: " + line
		}
		seen[m[1]+m[2]] = true
		samples++
	}
	if samples == 0 {
		return "no sample of " + metric
	}
	return ""
}
