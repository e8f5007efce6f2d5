package cmd_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

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
