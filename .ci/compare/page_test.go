package main

import (
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// update rewrites the golden file: go test ./.ci/compare -update.
var update = flag.Bool("update", false, "rewrite the golden file")

func rounds(values ...float64) map[int]float64 {
	out := map[int]float64{}
	for i, v := range values {
		out[i] = v
	}
	return out
}

// examplePage has what a page can hold: goals met, missed and not measured, a contestant that is not there and one that
// did not do the job, a part that was left out and one that failed.
func examplePage() page {
	t := newTypist("/tmp/made", "/src/ferry")
	to := "http://127.0.0.1:4711/api/v1/complete"
	one := []*contestant{
		{name: ferryName, argv: []string{"/src/ferry", "ask", "-o", "raw", "-n", "gateway", "hi"},
			wall: rounds(4, 5, 3), cpu: rounds(3, 3, 3), peak: []float64{9.5}},
		{name: curlName, argv: []string{"curl", "-d", requestBody, to}, wall: rounds(8, 9, 9), cpu: rounds(7, 7, 7), peak: []float64{10}},
		{name: loopName, argv: []string{"bash", "/tmp/made/loop.sh", to, requestBody}, skipped: "jq is not installed"},
		{name: bareName, argv: []string{"/tmp/made/bare", to}, wall: rounds(3, 3, 3), cpu: rounds(2, 2, 2), peak: []float64{5.5}},
		{name: sdkName, argv: []string{"node", "-e", sdkScript}, dir: "/src/testdata/sdk", broken: errors.New("exit status 1:\nno | port")},
	}
	loads := []*contestant{
		{name: benchName, argv: []string{"/src/ferry", "bench", "http://127.0.0.1:4712/cost"}, cpu: rounds(30, 31), peak: []float64{20}},
		{name: heyName, argv: []string{"/tmp/made/hey", "-n", "5000"}, cpu: rounds(60, 62), peak: []float64{40}},
		{name: vegetaName, argv: []string{"/tmp/made/vegeta", "attack"}, cpu: rounds(50)},
		{name: wrkName, argv: []string{"wrk", "-s", "/tmp/made/post.lua"}, skipped: "wrk is not installed"},
	}
	for _, c := range loads {
		c.load = &load{requests: 5000, pin: []string{"taskset", "-c", "0"}}
	}
	loads[2].load.input, loads[2].load.after = "POST …", []string{"/tmp/made/vegeta", "report", "/tmp/made/cost.vegeta"}
	return page{
		when:    time.Date(2031, 2, 3, 23, 30, 0, 0, time.FixedZone("", -3600)),
		machine: machine{cores: 4, cpu: "Example CPU", kernel: "Linux 7.0", goVersion: "go1.26", load: "2.10", system: "linux", family: "amd64"},
		ferry:   "1.2.3", peers: []peer{{"curl", "8.0", "apt-get install curl"}},
		charts: []chart{
			requestChart(settings{seed: 7, warmup: 3}, 3, one, t), costChart(2, loads, t),
			{title: burstTitle, absent: "failed: the pipe broke"},
		},
		files:   []file{{bodyFile, benchBody + "\n"}},
		leftOut: []leftOut{{batchTitle, "-batch-items 0"}},
		gaps:    []string{"peak memory: GNU time is not installed"},
	}
}

func TestPage(t *testing.T) {
	const path = "testdata/measured.md"
	got := examplePage().markdown()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not current (go test ./.ci/compare -update); got:\n%s", path, got)
	}
}

func TestTyped(t *testing.T) {
	typist := newTypist("/tmp/made", "/src/ferry")
	for _, test := range []struct {
		argv []string
		want string
	}{
		{[]string{"/src/ferry", "ask", "two words"}, "ferry ask 'two words'"},
		{[]string{"/tmp/made/hey", "-d", `{"a":"it's"}`}, `hey -d '{"a":"it'\''s"}'`},
		{[]string{"curl", "http://127.0.0.1:80/v1?a=b"}, `curl "$NODE/v1?a=b"`},
		{[]string{"curl", "http://127.0.0.1:80/v1"}, "curl $NODE/v1"},
		{[]string{"curl", "$HOME"}, "curl '$HOME'"},
		{[]string{"sh", ""}, "sh ''"},
	} {
		if got := typist.line(test.argv...); got != test.want {
			t.Errorf("%q: got %s, want %s", test.argv, got, test.want)
		}
	}
	if got := typist.text("secure: https://127.0.0.1:1/api, /tmp/made/ca.pem"); got != "secure: $SECURE_NODE/api, ca.pem" {
		t.Errorf("got %s", got)
	}
}

func TestVerdict(t *testing.T) {
	nan := math.NaN()
	for _, test := range []struct {
		got, low, high float64
		want           string
	}{
		{0.5, nan, 0.5, met}, {0.51, nan, 0.5, missed}, {nan, nan, 0.5, notMeasured}, {math.Inf(1), nan, 0.5, notMeasured},
		{0.7, 0.7, math.Inf(1), met}, {0.69, 0.7, math.Inf(1), missed}, {-0.5, -0.4, 0.4, missed}, {nan, nan, nan, notMeasured},
	} {
		if got := (goal{got: test.got, low: test.low, high: test.high}).verdict(); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestInsert(t *testing.T) {
	text := "# a\n" + beginMark + "\nold\n" + endMark + "\nrest\n"
	once, err := insert(text, "\nnew\n")
	if want := "# a\n" + beginMark + "\n\nnew\n\n" + endMark + "\nrest\n"; err != nil || once != want {
		t.Fatalf("%v: %q", err, once)
	}
	if twice, err := insert(once, "new"); err != nil || twice != once {
		t.Errorf("a second time: %v: %q", err, twice)
	}
	for text, want := range map[string]string{
		"# a\n":                           "it has 0 lines " + beginMark,
		beginMark:                         "it has 0 lines " + endMark,
		beginMark + beginMark + endMark:   "it has 2 lines " + beginMark,
		endMark + "\n" + beginMark + "\n": "stands before",
	} {
		if got, err := insert(text, "new"); err == nil || !strings.Contains(err.Error(), want) || got != "" {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}

// TestPublish: only what is whole, or forced, replaces what is there.
func TestPublish(t *testing.T) {
	whole := page{charts: []chart{{title: "x", about: "y", heads: []string{"ms"}, rows: []row{{name: wrkName, absent: "not measured: wrk is not installed"}}}}}
	cut, without, broken := whole, whole, whole
	cut.cut, without.leftOut = "the time limit is 1s", []leftOut{{batchTitle, "-batch-items 0"}}
	broken.charts = []chart{{title: "x", about: "y", heads: []string{"ms"}, rows: []row{{name: wrkName, absent: "failed: exit status 1"}}}}
	for _, test := range []struct {
		name      string
		page      page
		failed    error
		force     bool
		written   bool
		wantError string
	}{
		{name: "whole, with a gap that the machine has", page: whole, written: true},
		{name: "cut", page: cut, wantError: "cut short: the time limit is 1s"},
		{name: "cut, forced", page: cut, force: true, written: true},
		{name: "left out", page: without},
		{name: "left out, forced", page: without, force: true, written: true},
		{name: "a row failed", page: broken},
		{name: "something else failed", page: whole, failed: errors.New("no")},
	} {
		path := filepath.Join(t.TempDir(), "README.md")
		if err := os.WriteFile(path, []byte(beginMark+"\nold\n"+endMark), 0o600); err != nil {
			t.Fatal(err)
		}
		err := publish(settings{readme: path, force: test.force}, test.page, test.failed)
		if (err != nil) != (test.wantError != "") || err != nil && !strings.Contains(err.Error(), test.wantError) {
			t.Errorf("%s: %v", test.name, err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nold\n") == test.written {
			t.Errorf("%s: %s", test.name, text)
		}
	}
	if err := checkMarks(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a README that is not there passes")
	}
}

func TestFlags(t *testing.T) {
	s, err := readFlags([]string{"-only", "stream,batch"})
	if err != nil || s.rounds != 0 || s.bench+s.costs+s.stalls != 0 || s.delays == 0 || s.bursts == 0 || s.batchItems == 0 {
		t.Errorf("%v: %+v", err, s)
	}
	for _, args := range [][]string{{"-only", "nothing"}, {"-rounds", "-1"}, {"-batch-rounds", "0"}, {"more"}} {
		if _, err := readFlags(args); err == nil {
			t.Errorf("%q passes", args)
		}
	}
	for _, part := range parts {
		if s, err := readFlags([]string{"-only", part}); err != nil || s.rounds+s.delays+s.bench+s.batchItems == 0 {
			t.Errorf("%s leaves nothing: %v", part, err)
		}
	}
}

// TestLessIsNamed: what is left out stands on the page.
func TestLessIsNamed(t *testing.T) {
	text := examplePage().markdown()
	for _, want := range []string{"-batch-items 0", "wrk is not installed", "jq is not installed", "failed: the pipe broke", "GNU time"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	goals, again := examplePage().goals()
	if len(goals) != 6 || slices.Contains(again, "") {
		t.Errorf("%d goals, by %q", len(goals), again)
	}
}
