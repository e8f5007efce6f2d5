package cmd_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ferry/cmd"
	"ferry/pkg/client"
	"ferry/pkg/text"

	"github.com/spf13/cobra"
)

// update rewrites the golden files: go test ./cmd -run Golden -update.
var update = flag.Bool("update", false, "rewrite the golden files")

// helpPages returns the arguments of every page that ferry prints about itself, by the name of its golden file.
func helpPages() map[string][]string {
	pages := map[string][]string{}
	var walk func(c *cobra.Command, path []string)
	walk = func(c *cobra.Command, path []string) {
		for _, child := range c.Commands() {
			switch {
			case child.IsAdditionalHelpTopicCommand():
				pages["topic-"+child.Name()] = []string{"help", child.Name()}
			case child.Name() != "help" && !child.Hidden:
				walk(child, append(path[:len(path):len(path)], child.Name()))
			}
		}
		pages[strings.Join(append([]string{"ferry"}, path...)[min(1, len(path)):], "-")] = append(path[:len(path):len(path)], "--help")
	}
	walk(cmd.Commands(), nil)
	return pages
}

// unwrapped matches lines of help that are not wrapped: commands, and tables of more than two columns.
var unwrapped = regexp.MustCompile(`^ +(ferry|printf|bash|git|apt|certbot|mv|nginx|parallel|timeout|echo|pass|tar|ANTHROPIC_BASE_URL=\S+) | [|] ferry |^ +day=|^ +filter: \{|^ +\S.*  +\S.*  +\S`)

// TestGoldenHelp compares each help page with its golden file, and its width with the width for a pipe.
func TestGoldenHelp(t *testing.T) {
	pages := helpPages()
	files, err := filepath.Glob(filepath.Join("..", "testdata", "golden", "help", "*.txt"))
	check(t, err)
	for _, file := range files {
		errorIf(t, pages[strings.TrimSuffix(filepath.Base(file), ".txt")] == nil,
			"%s belongs to no page: got %d pages", file, len(pages))
	}
	for name, args := range pages {
		t.Run(name, func(t *testing.T) {
			r := ferry(t, nil, args...)
			for _, line := range strings.Split(r.stdout, "\n") {
				errorIf(t, text.Width(line) > 80 && !unwrapped.MatchString(line), "%s: %d columns, want at most 80", line, text.Width(line))
			}
			r.exactly(0, r.stdout, "")
			golden(t, filepath.Join("help", name+".txt"), r.stdout)
		})
	}
}

// golden compares got with a file of testdata/golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("..", "testdata", "golden", name)
	if *update {
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte(got), 0o644))
	}
	if want, err := os.ReadFile(path); err != nil || got != string(want) {
		t.Errorf("%s is not current (%v; go test ./cmd -run Golden -update); got:\n%s", path, err, got)
	}
}

// virtualClock is the clock of package time, which is virtual in a synctest bubble. On Windows ferry uses another
// clock.
type virtualClock struct{ client.Clock }

func (virtualClock) Now() time.Time { return time.Now() }

// runVirtual runs a complete command in virtual time: the demo nodes take their usual time, and the machine does not
// wait.
func runVirtual(t *testing.T, args ...string) (r result, took time.Duration) {
	r, took = inVirtualTime(t, args...)
	return r.must(), took
}

// inVirtualTime does the same, whatever the exit code.
func inVirtualTime(t *testing.T, args ...string) (r result, took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r = ferryIn(t, nil, func(e *cmd.Env) {
			e.Clock = virtualClock{cmd.SystemEnv().Clock}
			e.SchedulingDelay = nil // depends on this machine
		}, args...)
		took = time.Since(began)
	})
	r.t = t
	return r, took
}

// TestBenchOfTheDemo runs the comparison that ferry was first made for: 82 %, 98 % and 95 %, with means near 3200, 800
// and 1200 ms.
func TestBenchOfTheDemo(t *testing.T) {
	r, took := runVirtual(t, "bench", "-r", "100", "-c", "25", "-o", "json", "demo/direct", "demo/hongkong", "demo/singapore")
	var report struct {
		Nodes []struct {
			Node      string
			Success   float64                   `json:"success_rate"`
			LatencyMS struct{ Mean float64 }    `json:"latency_ms"`
			Versus    *struct{ Verdict string } `json:"vs_reference"`
		}
	}
	check(t, json.Unmarshal([]byte(r.stdout), &report))
	want := []struct {
		node          string
		success, mean float64
	}{{"demo/direct", 0.82, 3200}, {"demo/hongkong", 0.98, 800}, {"demo/singapore", 0.95, 1200}}
	fatalIf(t, len(report.Nodes) != len(want), "%d nodes, want %d: %s", len(report.Nodes), len(want), r.stdout)
	for i, w := range want {
		got := report.Nodes[i]
		if got.Node != w.node || got.Success != w.success || got.LatencyMS.Mean < 0.93*w.mean || got.LatencyMS.Mean > 1.07*w.mean {
			t.Errorf("got %+v, want %+v", got, w)
		}
		if i > 0 && (got.Versus == nil || got.Versus.Verdict != "faster") {
			t.Errorf("%s against direct: got %+v, want faster", got.Node, got.Versus)
		}
	}
	errorIf(t, took > 30*time.Second,
		"it takes %s, want at most 30 s: make demo is to take less than a minute with all else", took)
}

// TestGoldenBench compares the complete output of small runs with golden files. In virtual time every run is the same.
func TestGoldenBench(t *testing.T) {
	for name, args := range map[string][]string{
		"text":      {"-o", "text", "demo/direct", "demo/hongkong", "demo/singapore"},
		"markdown":  {"-o", "markdown", "demo/direct", "demo/hongkong", "demo/singapore"},
		"zh":        {"-o", "markdown", "--lang", "zh", "demo/direct", "demo/hongkong", "demo/singapore"},
		"stream":    {"--stream", "demo:?latency=300ms&pace=20ms", "demo:?latency=400ms&pace=30ms"},
		"open-loop": {"--rate", "2", "-d", "30s", "-c", "1", "demo:?latency=400ms", "demo:?latency=700ms"},
		"csv":       {"-o", "csv", "demo/hongkong", "demo/singapore"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := runVirtual(t, append([]string{"bench", "--seed", "1"}, args...)...)
			golden(t, filepath.Join("bench", name+".txt"), r.stdout+"\n"+r.stderr)
		})
	}
}

// TestRecompute has Node calculate every figure of a report from the saved runs only, in each form: with failures,
// over both kinds of connection, of streams, at a fixed rate, of many rounds, and merged over places and days.
func TestRecompute(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		skipMissing(t, "Node")
	}
	script, err := filepath.Abs("../testdata/recompute.mjs")
	check(t, err)
	demo := []string{"demo/direct", "demo/hongkong", "demo/singapore"}
	for name, runs := range map[string][][]string{
		"failures":         {append([]string{"-r", "30", "-c", "3"}, demo...)},
		"many rounds":      {append([]string{"-r", "120", "-c", "10"}, demo...)},
		"both kinds":       {append([]string{"-r", "12", "--connections", "both", "--attempts", "2"}, demo...)},
		"few":              {append([]string{"-r", "2"}, demo...)},
		"a stream":         {{"-r", "25", "--stream", "demo:?latency=300ms&pace=20ms", "demo:?latency=400ms&pace=30ms&chunk=4", "demo:?latency=350ms&chunk=2000"}},
		"a dead reference": {{"-r", "20", "demo:?status=503", "demo/hongkong", "demo/singapore"}},
		"a fixed rate":     {{"--rate", "2", "-d", "30s", "-c", "1", "demo:?latency=400ms", "demo:?latency=700ms"}},
		"a rate, streamed": {{"--rate", "2", "-d", "30s", "-c", "1", "--stream", "demo:?latency=300ms&pace=2ms", "demo:?latency=600ms&pace=2ms"}},
		"places and days": {
			append([]string{"-r", "20", "--vantage", "here"}, demo...), append([]string{"-r", "15", "--vantage", "there"}, demo...),
			append([]string{"-r", "10", "--vantage", "here"}, demo...),
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			args := []string{script, dir}
			for i, run := range runs {
				file := filepath.Join(dir, fmt.Sprintf("run-%d.jsonl", i))
				inVirtualTime(t, append([]string{"bench", "-q", "--seed", fmt.Sprint(i + 1), "--save", file, "-o", "csv"}, run...)...)
				// Virtual time always begins at the same moment, so the runs are moved to different days.
				moved := strings.Replace(read(t, file), `"started":"2000-01-01T00`, fmt.Sprintf(`"started":"2000-01-%02dT%02d`, 1+2*i, 5*i), 1)
				write(t, file, moved)
				args = append(args, file)
			}
			for form, suffix := range map[string]string{"json": "json", "csv": "csv", "prometheus": "prom", "markdown": "md", "text": "txt", "html": "html", "junit": "xml"} {
				shown, _ := inVirtualTime(t, append([]string{"bench", "report", "-q", "-o", form}, args[2:]...)...)
				write(t, filepath.Join(dir, "report."+suffix), shown.stdout)
			}
			out, err := exec.Command(node, args...).CombinedOutput()
			errorIf(t, err != nil, "%v, want every figure as Node works it out:\n%s", err, out)
			table := filepath.Join(dir, "report.md")
			write(t, table, strings.Replace(read(t, table), "ms |", "9ms |", 1))
			out, err = exec.Command(node, args...).CombinedOutput()
			errorIf(t, err == nil || !strings.Contains(string(out), "\nmarkdown ") && !strings.HasPrefix(string(out), "markdown "),
				"got %v, want the one wrong figure of Markdown named:\n%s", err, out)
		})
	}
}
