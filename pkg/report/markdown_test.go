package report

import (
	"strings"
	"testing"

	"ferry/pkg/bench"
)

// TestMarkdownOrigin compares the table with the expected one.
func TestMarkdownOrigin(t *testing.T) {
	s := three()
	for i, want := range []struct {
		mean float64
		ok   float64
	}{{3200, 0.82}, {800.4, 0.98}, {1199.6, 0.95}} {
		s.Rows[i].Latency.Mean, s.Rows[i].Success.Value = want.mean, want.ok
	}
	for lang, want := range map[string][]string{
		English: {"| access | mean latency | success rate |", "| direct | 3200ms | 82% |", "| hongkong | 800ms | 98% |", "| singapore | 1200ms | 95% |"},
		Chinese: {"| 访问方式 | 平均延迟 | 成功率 |", "| direct | 3200ms | 82% |", "| 香港代理节点 | 800ms | 98% |", "| 新加坡代理节点 | 1200ms | 95% |"},
	} {
		lines := strings.Split(write(t, Markdown, s, Options{Lang: lang}), "\n")
		for i, line := range []int{0, 2, 3, 4} {
			if !strings.HasPrefix(lines[line], want[i]) {
				t.Errorf("line %d of %s is %q, want %q", line, lang, lines[line], want[i])
			}
		}
		if !strings.HasPrefix(lines[1], "|---|") || lines[5] != "" || !strings.HasPrefix(lines[6], "- ") {
			t.Errorf("the table of %s is not a table of its own: %q", lang, lines[:7])
		}
	}
}

// TestMarkdownCells: no name adds a cell, a row or a tag.
func TestMarkdownCells(t *testing.T) {
	for name, s := range fixtures() {
		for _, lang := range []string{English, Chinese} {
			lines := strings.Split(write(t, Markdown, s, Options{Lang: lang}), "\n")
			for i, line := range lines[:len(s.Rows)+2] {
				bare := strings.ReplaceAll(line, `\\`, "")
				if n := strings.Count(bare, "|") - strings.Count(bare, `\|`); n != 10 {
					t.Errorf("%s, line %d has %d bars: %s", name, i, n, line)
				}
			}
			for _, line := range lines {
				if at := strings.IndexAny(line, "<`"); at > 0 && line[at-1] != '\\' {
					t.Errorf("%s: markup in %s", name, line)
				}
			}
		}
	}
}

// TestVerdictChinese is TestSentence in Chinese, for the cases that the golden files do not have.
func TestVerdictChinese(t *testing.T) {
	slower, few, kept := three(), poor(), merged()
	slower.Rows[1].VsReference = slowerBy40()
	slower.Rows[1].VsReference.Reference = "singapore"
	few.Rows[2].VsReference = nil
	got := write(t, Markdown, slower, Options{Lang: Chinese}) + write(t, Markdown, few, Options{Lang: Chinese})
	for _, want := range []string{
		"| 1.40 倍（1.20–1.60），更慢 |", "\n- 香港代理节点：比新加坡代理节点慢：典型延迟为其 1.40 倍（配对比较，95% CI 1.20–1.60）；p50 为 1.40 s，而新加坡代理节点为 1.00 s；成功率 98%（93–99%）\n",
		"\n- rare：未作比较；平均 1.22 s（2 次成功）；成功率 10%（3–30%）\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing from\n%s", want, got)
		}
	}
	labelled := languageOf(Chinese)
	labelled.labels = true
	w := warning("fresh_connections", language{}.title(kept, kept.Rows[7]), "%s opened a new connection instead of reusing one", bench.Count{N: 3, Noun: "request"})
	if got, want := labelled.warning(kept, w), "香港代理节点（复用连接） @shanghai：3 个请求本应复用连接，却新建了连接"; got != want {
		t.Errorf("a warning about a row: got %s, want %s", got, want)
	}
	if got := languageOf(Chinese).warning(kept, bench.Warning{Code: "new", Text: "english"}); got != "english" {
		t.Errorf("an unknown warning: %s", got)
	}
}
