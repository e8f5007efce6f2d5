package report

import (
	"cmp"
	"fmt"
	"slices"

	"ferry/pkg/bench"
)

// chinese says everything in Chinese. A node goes by its label there, where it has one.
func chinese() language {
	return language{
		columns: []string{"访问方式", "平均延迟", "成功率", "p50", "p95", "p99", "请求数", "成功率 95 % 区间", "与参照相比"},
		best:    "最佳", warning: "警告", colon: "：",
		or: " 或 ", notApart: "%s（无法区分）",
		failed: "失败：%s",
		title:  titleChinese, node: nodeChinese,
		verdict: func(v bench.Verdict) string {
			switch v {
			case bench.Faster:
				return "更快"
			case bench.Slower:
				return "更慢"
			}
			return "未显示差异"
		},
		ratio:       " 倍（%s–%s），%s",
		noSuccess:   func(n int) string { return fmt.Sprintf("%d 个请求无一成功", n) },
		pairs:       func(n int) string { return fmt.Sprintf("%d 对", n) },
		mean:        func(ok int, ms string) string { return fmt.Sprintf("%d 次成功的平均 %s", ok, ms) },
		success:     "；成功率 %s %%（%s %%）",
		reference:   "参照；",
		notCompared: "未作比较；",
		itself:      "参照",
		faster:      "比%s快：逐对比较，典型延迟为其 %s 倍（95 %% 区间 %s–%s）",
		slower:      "比%s慢：逐对比较，典型延迟为其 %s 倍（95 %% 区间 %s–%s）",
		tooFew:      "与%s相比未显示差异（仅 %s，不足以给出区间）",
		same:        "与%s相比未显示差异：逐对比较，典型延迟为其 %s 倍（95 %% 区间 %s–%s，%s）",
		medians:     "；p50 为 %s，而%s为 %s",
		shapes:      "，与此结论相反：两者的分布形状不同",
		warnings: map[string]string{
			bench.FewRounds:       "请求或配对的轮次太少，结论还不可靠",
			bench.SlowFirst:       "第一个请求明显偏慢，可能是预热；可增加预热轮次",
			bench.Outliers:        "有离群值，平均值可能受其影响；请看 p50",
			bench.BusyClient:      "本机繁忙，测得的延迟含有本机的耽搁",
			bench.ClockJumped:     "测量期间系统时钟有跳变；延迟按单调时钟计，不受影响",
			bench.DifferentModels: "各节点的模型不同，因此不作比较",
			bench.NoSuccess:       "没有一次成功",
			bench.EndedEarly:      "该节点提前结束",
			bench.NotSent:         "有请求未能按时发出，未再发送：对这样的速率，-c 太小",
			bench.Overrun:         "请求发出得晚：对这样的速率，-c 太小",
			bench.FreshConnection: "有些本应复用连接的请求用了新连接",
			bench.CutFile:         "保存的文件不完整，最后一行被截断",
			bench.NotPrecise:      "区间未达到要求的精度",
			bench.OtherReference:  "参照节点没有一次成功，改以第一个有回答的节点为参照",
		},
		definitions: map[string]definition{
			"latency":     {"延迟", "从请求开始（域名解析之前）到完整回答的最后一个字节；失败只计数，不计入平均"},
			"success":     {"成功率", "有文字的完整回答占全部请求的比例；拒答、空回答、只有思考而无文字者算失败；区间为 Wilson 95 % 置信区间"},
			"attempts":    {"尝试", "一个请求可尝试多次，其间的等待计入延迟"},
			"connections": {"新建／复用", "每个请求新建连接；沿用先前请求留下的连接"},
			"rounds":      {"轮次", "每一轮以随机顺序向各节点发出同样的提示，并附等长的随机串"},
			"comparison":  {"比较", "逐轮与参照节点配对；典型比值为 Hodges–Lehmann 估计，区间来自 Wilcoxon 符号秩检验，全部区间同时成立的置信度为 95 %（Holm）"},
			"best":        {"最佳节点", "成功率优先：成功率低于其他节点区间下限者除外；其余之中，逐对比较确证快于其他各节点者"},
			"bestTTFT":    {"最佳节点", "成功率优先：成功率低于其他节点区间下限者除外；其余之中，逐对比较确证 TTFT 短于其他各节点者"},
			"intended":    {"应发时刻", "固定速率下，延迟从请求应当发出的时刻算起；“实际”从真正发出算起，两者之差为滞后"},
			"phases":      {"阶段", "成功请求最后一次尝试各部分的平均值"},
			"ttft":        {"TTFT", "从请求开始到第一段非空文本"},
			"itl":         {"ITL", "（延迟 − TTFT）÷（输出词元数 − 1），逐请求计算"},
			"tokens":      {"tokens/s", "输出词元数 ÷ 延迟，逐请求计算"},
		},
		bestOf: map[bench.Connection]string{bench.Cold: "（只看新建连接）", bench.Reused: "（只看复用连接）"},
	}
}

func titleChinese(s *bench.Summary, r *bench.Row) string {
	name := visible(cmp.Or(r.Node.Label, r.Node.Name))
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

// nodeChinese is a node's name inside a sentence, set off from the Chinese around it where its ends are Latin.
func nodeChinese(s *bench.Summary, name string) string {
	if i := slices.IndexFunc(s.Rows, func(r *bench.Row) bool { return r.Node.Name == name && r.Node.Label != "" }); i >= 0 {
		name = s.Rows[i].Node.Label
	}
	name = visible(name)
	if name != "" && name[0] < 0x80 {
		name = " " + name
	}
	if name != "" && name[len(name)-1] < 0x80 {
		name += " "
	}
	return name
}
