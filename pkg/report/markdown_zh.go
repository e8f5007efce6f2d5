package report

import (
	"fmt"
	"math"
	"strings"

	"ferry/pkg/bench"
)

// chinese says everything in Chinese. A node goes by its label there, where it has one.
func chinese() language {
	return language{
		columns: []string{"访问方式", "平均延迟", "成功率", "p50", "p95", "p99", "请求数", "成功率 95 % 区间", "与参照相比"},
		best:    "最佳：",
		name:    titleChinese,
		versus: func(s *bench.Summary, r *bench.Row) string {
			return versus(s, r, "参照", " 倍（%s–%s），%s", verdictChinese)
		},
		verdict: func(s *bench.Summary, r *bench.Row) string { return titleChinese(s, r) + "：" + findingChinese(s, r) },
		warning: warningChinese,
		define:  func(d definition) string { return d.zh },
	}
}

func titleChinese(s *bench.Summary, r *bench.Row) string {
	name := r.Node.Label
	if name == "" {
		name = r.Node.Name
	}
	name = visible(name)
	if s.BothConnections() {
		switch r.Node.Connection {
		case bench.Cold:
			name += "（新建连接）"
		case bench.Reused:
			name += "（复用连接）"
		}
	}
	if len(s.Vantages) > 1 {
		name += " @" + visible(r.Vantage)
	}
	return name
}

// labelled is what a node of the summary is called in Chinese.
func labelled(s *bench.Summary, name string) string {
	for _, r := range s.Rows {
		if r.Node.Name == name && r.Node.Label != "" {
			return visible(r.Node.Label)
		}
	}
	return visible(name)
}

// spaced sets a name off from the Chinese around it where its ends are Latin.
func spaced(name string) string {
	if name != "" && name[0] < 0x80 {
		name = " " + name
	}
	if name != "" && name[len(name)-1] < 0x80 {
		name += " "
	}
	return name
}

// series is what the row that a warning names is called in Chinese.
func contestant(s *bench.Summary, name string) string {
	for _, r := range s.Rows {
		if title(s, r) == visible(name) {
			return titleChinese(s, r)
		}
	}
	return visible(name)
}

func verdictChinese(v bench.Verdict) string {
	switch v {
	case bench.Faster:
		return "更快"
	case bench.Slower:
		return "更慢"
	}
	return "未显示差异"
}

func findingChinese(s *bench.Summary, r *bench.Row) string {
	if r.OK == 0 {
		return fmt.Sprintf("%d 个请求无一成功", r.Requests)
	}
	rest := "；成功率 " + success(r.Success)
	rest = strings.NewReplacer(" (", "（", ")", "）").Replace(rest)
	switch {
	case r.VsReference != nil:
		return differenceChinese(s, r.VsReference) + rest
	case len(s.Rows) == 1:
		return middleChinese(r) + rest
	case reference(s, r) && !modelsDiffer(s):
		return "参照；" + middleChinese(r) + rest
	}
	return "未作比较；" + middleChinese(r) + rest
}

func middleChinese(r *bench.Row) string {
	if r.Latency.HasPercentiles() {
		return "p50 " + spell(r.Latency.P50)
	}
	return fmt.Sprintf("%d 次成功的平均 %s", r.OK, spell(r.Latency.Mean))
}

func differenceChinese(s *bench.Summary, c *bench.Comparison) string {
	than := spaced(labelled(s, c.Reference))
	switch c.Verdict {
	case bench.Faster:
		return fmt.Sprintf("p50 比%s快 %s，95 %% 区间 %s", than, spell(c.Saved), spellRange(c.SavedLow, c.SavedHigh))
	case bench.Slower:
		return fmt.Sprintf("p50 比%s慢 %s，95 %% 区间 %s", than, spell(-c.Saved), spellRange(-c.SavedHigh, -c.SavedLow))
	}
	if math.IsInf(c.High, 1) {
		return fmt.Sprintf("与%s相比未显示差异（仅 %d 对，不足以给出区间）", than, c.Pairs)
	}
	return fmt.Sprintf("与%s相比未显示差异（95 %% 区间为其用时的 %s–%s 倍，%d 对）", than, ratio(c.Low), ratio(c.High), c.Pairs)
}

// warningChinese says a warning by its code; one that it does not know stays as it is.
func warningChinese(s *bench.Summary, w bench.Warning) string {
	text := ""
	switch w.Code {
	case bench.FewRounds:
		text = "请求或配对的轮次太少，结论还不可靠"
	case bench.SlowFirst:
		text = "第一个请求明显偏慢，可能是预热；可增加预热轮次"
	case bench.Outliers:
		text = "有离群值，平均值可能受其影响；请看 p50"
	case bench.BusyClient:
		text = "本机繁忙，测得的延迟含有本机的耽搁"
	case bench.ClockJumped:
		text = "测量期间系统时钟有跳变；延迟按单调时钟计，不受影响"
	case bench.DifferentModels:
		text = "各节点的模型不同，因此不作比较"
	case bench.NoSuccess:
		text = "没有一次成功"
	case bench.EndedEarly:
		text = "该节点提前结束"
	case bench.NotSent:
		text = "有请求未能按时发出"
	case bench.FreshConnection:
		text = "有些本应复用连接的请求用了新连接"
	case bench.CutFile:
		text = "保存的文件不完整，最后一行被截断"
	case bench.NotPrecise:
		text = "区间未达到要求的精度"
	default:
		return "警告：" + visible(w.Text)
	}
	if w.Node != "" {
		text = contestant(s, w.Node) + "：" + text
	}
	return "警告：" + text
}
