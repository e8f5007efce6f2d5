package report

import "maps"

// chinese says everything in Chinese. A node is 节点 there, a token is a token, and the reference is 基准.
func chinese() language {
	words := chineseWords()
	maps.Copy(words, chineseWarnings())
	maps.Copy(words, chineseHTML())
	return language{words: words, definitions: chineseDefinitions()}
}

// chineseWords are by the English texts and formats. Each has the verbs of the English one, in an order of its own where
// they are numbered.
func chineseWords() map[string]string {
	return map[string]string{
		// numbers and marks
		" %": "%", ": ": "：", ", ": "，", "; ": "；", " or ": " 或 ", " and ": " 与 ", " (%s)": "（%s）", "%s (not told apart)": "%s（无法区分）",
		"%d request": "%d 个请求", "%d pair": "%d 对", "%d success": "%d 次成功", "%d node": "%d 个节点", "%d token": "%d 个 token",
		"%d warm-up round": "%d 轮预热", "%d round": "%d 轮", "%d answer": "%d 个回答",
		// the head
		"model": "模型", "plan": "计划", "from": "地点", "run": "运行",
		"different ones": "各不相同", "the node's own": "由节点决定", "prompt %s": "提示词 %s", "at most %s": "最多 %s",
		"streamed": "流式", "whole answers": "非流式", "requests for %s": "持续发送 %s", "%s to each of %s": "向 %[2]s各发 %[1]s",
		"raced": "握手竞速", "not raced": "握手不竞速", "over new connections and reused ones": "新建连接与复用连接",
		"over reused connections": "复用连接", "a new connection each": "每次新建连接", "%s a second, at most %d at a time": "每秒 %s 个，并发最多 %d",
		"%d at a time": "并发 %d", "up to %d attempts": "每个请求最多尝试 %d 次", "one attempt": "不重试",
		"through the proxy %s": "经代理 %s", "%d runs since %s in all": "共 %d 次测量，始于 %s",
		"interrupted before its end": "提前中断", "ended by the cap on tokens": "因 token 上限结束",
		"ended when it was precise enough": "达到所要求的精度后结束", "ended early: %s": "提前结束：%s",
		// tables
		"node": "节点", "label": "标签", "mean": "平均", "sd": "标准差", "min": "最小", "max": "最大", "success": "成功率", "95 % CI": "95% 区间",
		"1st try": "首次成功率", "ok": "成功", "class": "类别", "count": "次数", "blame": "归因", "the first one": "首个错误",
		"client": "客户端", "origin": "上游", "latencies": "延迟分布", "failures": "失败", "phases, mean": "各阶段平均",
		"DNS": "DNS", "connect": "连接", "TLS": "TLS", "wait": "等待", "transfer": "传输",
		"tokens": "token", "streams": "流式", "TTFT p50": "TTFT p50", "TTFT p95": "TTFT p95", "TTFT p99": "TTFT p99", "TTFT mean": "TTFT 平均", "latency p50": "延迟 p50", "latency p95": "延迟 p95", "latency p99": "延迟 p99",
		"decode/s": "解码 token/s", "tokens an answer": "每个回答 token", "mean TTFT": "平均 TTFT",
		"ITL mean": "ITL 平均", "tokens/s": "token/s",
		"load": "负载", "requests/s": "请求/s", "in flight": "在途请求", "p50 by hour of day": "各小时 p50",
		"fastest": "最快", "slowest": "最慢", "least success": "成功率最低",
		"faster nodes waited for slower ones between the rounds: their requests/s are not the most that they can do": "较快的节点在轮次之间等待较慢的节点：其请求/s 并非其上限",
		"fixed rate": "固定速率", "intended p50": "应发 p50", "intended p99": "应发 p99", "actual p50": "实发 p50", "actual p99": "实发 p99",
		"lag p50": "滞后 p50", "lag p99": "滞后 p99", "not sent": "未发",
		"access": "访问方式", "mean latency": "平均延迟", "success rate": "成功率", "p50": "p50", "p95": "p95", "p99": "p99", "requests": "请求数",
		"success 95 % interval": "成功率 95% 区间", "vs reference": "与基准相比",
		// findings
		"cold": "新建连接", "reused": "复用连接", "best": "最佳", "warning": "警告", "reference": "基准",
		"failed: %s": "失败：%s", "faster": "更快", "slower": "更慢", "no difference shown": "未显示差异", " × (%s–%s), %s": " 倍（%s–%s），%s",
		"no success in %s": "%s无一成功", "mean %s of %s": "%[2]s的平均 %[1]s", "; success %s (%s)": "；成功率 %s（%s）",
		"the reference; ": "基准；", "not compared; ": "未作比较；",
		"faster than %s, typically %s × its %s pair by pair (95 %% interval %s–%s)": "比%[1]s快：逐对比较，典型%[3]s为其 %[2]s 倍（95%% 区间 %[4]s–%[5]s）",
		"slower than %s, typically %s × its %s pair by pair (95 %% interval %s–%s)": "比%[1]s慢：逐对比较，典型%[3]s为其 %[2]s 倍（95%% 区间 %[4]s–%[5]s）",
		"no difference shown to %s (%s: too few for an interval)":                   "与%s相比未显示差异（仅 %s，不足以给出区间）",
		"no difference shown to %s, typically %s × its %s pair by pair (95 %% interval %s–%s, %s)": "与%[1]s相比未显示差异：" +
			"逐对比较，典型%[3]s为其 %[2]s 倍（95%% 区间 %[4]s–%[5]s，%[6]s）",
		"latency": "延迟", "TTFT": " TTFT ", "; %s tokens an answer": "；每个回答 %s 个 token",
		"the time between tokens is not known":                                                 "token 间隔无从得知",
		"; p50 %s, %s %s":                                                                      "；p50 为 %s，而%s为 %s",
		", which say otherwise: the distributions differ in shape":                             "，与此结论相反：两者的分布形状不同",
		", over %s connections":                                                                "（只看%s）",
		"there is no best node: none had a success":                                            "没有最佳节点：无一成功",
		"there is no best node: they were asked for different models":                          "没有最佳节点：各节点的模型不同",
		"there is no best node: each refused the rest of its requests, or was asked only once": "没有最佳节点：各节点或拒绝了其余请求，或只被请求过一次",
		// two runs
		"old": "旧", "new": "新", "measure": "指标", "change": "变化", "verdict": "结论",
		" ×": " 倍", "%s pp": "%s 个百分点", "%s to %s": "%s 至 %s", "too few for an interval": "不足以给出区间",
		"fails more often": "失败更多", "fails less often": "失败更少", "no change shown": "未显示变化", "better": "变好", "worse": "变差",
		"; %s typically %s × the old one (too few for an interval)":              "；%s：通常为旧的 %s 倍（不足以给出区间）",
		"; %s typically %s × the old one (95 %% interval %s–%s), p50 %s, was %s": "；%s：通常为旧的 %s 倍（95%% 区间 %s–%s），p50 由 %[6]s 变为 %[5]s",
		"; success %s (%s), was %s (%s)":                                         "；成功率由 %[3]s（%[4]s）变为 %[1]s（%[2]s）",
		"%s, but it fails more often: success %s %% of %s, was %s %% of %s":      "%s，但失败更多：%[3]s成功 %[2]s%%，原为 %[5]s成功 %[4]s%%",
		"the new run began before the old one":                                   "新的一次早于旧的一次",
		"the runs differ in more than time: %s":                                  "两次测量的设置也不同：%s",
		"only the old run has %s":                                                "仅旧的一次有 %s",
		"only the new run has %s":                                                "仅新的一次有 %s",
		"in the old run, %s":                                                     "旧的一次：%s",
		"in the new run, %s":                                                     "新的一次：%s",
		// thresholds
		", seen %s": "，实测 %s", "it was not measured": "未测量", "a failure: %d of %s failed": "失败：%[2]s中 %[1]d 个失败",
		"no request": "没有请求", "no success": "没有一次成功", "the node does not count tokens": "该节点不报告 token 数",
		"no stream to measure it on": "不是流式，无从测量", "%s takes at least %d requests, and there are %d": "%s 至少需要 %d 个请求，实有 %d 个",
		"too few for it: %d measured": "样本太少：仅 %d 个",
	}
}

// chineseWarnings are those of the warnings.
func chineseWarnings() map[string]string {
	return map[string]string{
		"the nodes were asked for different models: their latencies are shown and not compared": "各节点的模型不同：只列出延迟，不作比较",
		"only %s: not reliable with fewer than 10":                                              "仅 %s，少于 10 个时结论不可靠",
		"no node had more than %s: not reliable with fewer than 10":                             "每个节点最多 %s，少于 10 个时结论不可靠",
		"the run ended before every interval was within ±%g %%":                                 "测量结束时，区间尚未全部达到 ±%g%% 的精度",
		"this machine was busy: it ran what was due up to %s late, which is in the latencies":   "本机繁忙：任务最多晚执行 %s，已计入延迟",
		"the clock was moved forward by %s during the run; no latency depends on it":            "测量期间系统时钟被拨快 %s；延迟不受影响",
		"the clock was moved back by %s during the run; no latency depends on it":               "测量期间系统时钟被拨慢 %s；延迟不受影响",
		"%s and not one success": "%s无一成功",
		"the reference had no success: the others are compared with %s instead":                 "基准没有一次成功：其他节点改与 %s 比较",
		"its part ended after %s: %s":                                                           "%s之后提前结束：%s",
		"it and %s both had an answer in only %d rounds: fewer than %d can show no difference":  "它与 %s 都有回答的只有 %d 轮：少于 %d 轮无法显示差异",
		"it and %s both had an answer in only %d rounds: that shows large differences only":     "它与 %s 都有回答的只有 %d 轮：只能看出大的差异",
		"%s could not begin in time and were not sent: -c %d is too few for that rate":          "%s未能按时开始，没有发出：对这样的速率，-c %d 太小",
		"requests began late, typically by %s: -c %d is too few for that rate":                  "请求开始得晚，通常晚 %s：对这样的速率，-c %d 太小",
		"%s meant for a kept connection had to open a new one":                                  "%s本应复用连接，却新建了连接",
		"the first request took %s, far from the median of %s: a larger --warmup leaves it out": "首个请求用了 %s，远离中位数 %s：加大 --warmup 可将其排除",
		"%d of %s lie far from the median of %s: mean and sd depend on them":                    "%[2]s中有 %[1]d 个远离中位数 %[3]s：平均与标准差受其影响",
		"%d of %s lie far from the median of %s: the latencies have more than one level, and neither mean nor p50 describes them": "%[2]s中有 %[1]d 个" +
			"远离中位数 %[3]s：延迟不止一个水平，平均与 p50 都不能代表它们",
		"the first text came with the last in %d of %s: a proxy on the way may hold streams back":       "%[2]s中有 %[1]d 个的首段文本与末段同时到达：途中的代理可能缓冲了流",
		"its answers have reasoning that it does not count apart: the time between tokens is not known": "回答含有未单独计数的思考 token：token 间隔无从得知",
		"answers of fewer than %d tokens do not tell the time between tokens":                           "回答不足 %d 个 token，无从得知 token 间隔",
		"answers differ in length: %s typically has %.0f tokens, %s %.0f; longer ones take longer":      "回答长度不同：%s 通常有 %.0f 个 token，%s 有 %.0f 个；越长越耗时",
		"%s: line %d is cut; the other %d are used":                                                     "%s：第 %d 行不完整；其余 %d 行已采用",
		"%s: the request of line %d is cut; the other %d lines are used":                                "%s：第 %d 行的请求不完整；其余 %d 行已采用",
		"%s: the run did not come to its end by itself; what it had measured is used":                   "%s：测量没有正常结束；已测得的均已采用",
	}
}

// chineseHTML are those that HTML alone has.
func chineseHTML() map[string]string {
	return map[string]string{
		"%d failed of %d": "%[2]d 个中 %[1]d 个失败", "%d of %d": "%d / %d", "%d of them are drawn, evenly chosen.": "图中均匀选取了 %d 个。",
		"%d runs merged": "合并 %d 次测量", "%s in %s": "%s，用时 %s", "%s in all": "共 %s", "%s over time, %d of them failed.": "%s随时间的分布，其中 %d 个失败。",
		"%s times the %s of %s, 95 %% interval: %s, over %s, p %s: %s.": "%[2]s为 %[3]s 的 %[1]s 倍，95%% 区间：%[4]s，%[5]s，p %[6]s：%[7]s。",
		"%s × of %s, %s": "%[2]s 的 %[1]s 倍，%[3]s", "%s, mean %s: too few for a distribution.": "%s，平均 %s：太少，不成分布。",
		"%s, ms": "%s，ms", "%s, on an axis from %d %% to 100 %%": "%s，横轴从 %d%% 到 100%%",
		"%s: half took at most %s, 95 in 100 at most %s; from %s to %s.": "%s：一半不超过 %s，95%% 不超过 %s；从 %s 到 %s。",
		", %d beyond the axis": "，%d 个超出横轴", "2 January 2006, 15:04:05 UTC": "2006 年 1 月 2 日 15:04:05 UTC",
		": the distributions differ in shape": "：两者的分布形状不同", "Answers": "回答", "Attempts": "尝试", "Before you rely on this": "注意事项",
		"Bounds that this run was held to": "本次测量须达到的界限", "Connections": "连接", "Failures": "失败", "Its part ended early: %s.": "提前结束：%s。",
		"Each request stands at the time (UTC) when it began; the line is the median of the answers around it. Latencies have one axis for all nodes.": "每个请求" +
			"画在开始的时刻（UTC）；折线为其前后回答的中位数。各节点的延迟轴相同。",
		"How many times the %s of the reference, pair by pair, with the 95 %% interval. An interval that touches 1 shows no difference.": "逐对比较，" +
			"%s为基准的多少倍，及其 95%% 区间。区间触及 1 即未显示差异。",
		"How the latencies of whole answers are spread, on one axis for all nodes. Each curve has its own height; the strokes below it are single answers.": "完整回答的" +
			"延迟如何分布，各节点的横轴相同。每条曲线的高度各自为准；下方的短线是单个回答。",
		"Latency and success compared: %s": "延迟与成功率比较：%s", "Latency and success of %s": "%s 的延迟与成功率",
		"Of successes only, and success with its 95 %% interval, drawn from %.0f %% to 100 %%.": "仅含成功的请求；成功率及其 95%% 区间，从 %.0f%% 画到 100%%。",
		"By hour of day": "各小时", "hour": "小时", "p50 of the %s, and success rate, of the requests that began in each hour, %s": "每小时内开始的请求的 %s p50 与成功率，%s",
		"Load of each node": "每个节点的负载",
		"Mean phases of the attempt that brought the answer. What a kept connection saved is absent from its bar.": "带来回答的那次尝试的各阶段平均值。" +
			"复用连接省去的阶段不在其中。",
		"Mean phases: %s.": "各阶段平均：%s。", "Measured from": "测量地点", "Model": "模型", "More measures": "其他指标", "No answer.": "没有回答。",
		"No request failed.": "没有失败的请求。", "Nothing was measured": "没有测量结果", "Of successes only": "仅含成功的请求", "Plan": "计划", "Program": "程序",
		"Prompt (SHA-256)": "提示词（SHA-256）", "Proxy": "代理", "Reference": "基准", "Requests without success, after all attempts": "用尽尝试仍未成功的请求",
		"Results": "结果", "Seed": "随机种子", "The axis is logarithmic: equal steps are equal ratios.": "横轴为对数：等距即等比。", "Thresholds": "阈值",
		"Verdict": "结论", "What the words mean": "名词解释", "What took longer than it reaches stands on its upper edge.": "超出延迟轴的画在上沿。",
		"What was measured": "测量内容", "against the reference": "与基准相比", "an unnamed place": "未命名地点", "answered": "有回答", "failed": "失败",
		"first attempt %s": "首次尝试 %s", "from %s": "从 %s", "lies with": "归因", "no answer": "没有回答", "none": "无", "not told apart": "无法区分",
		"over %s; p50 %s against %s": "%s；p50 为 %s，基准为 %s", "result": "结果", "schema %d · run": "格式版本 %d · 测量", "seen": "实测", "share": "占比",
		"slower →": "更慢 →", "← faster than the reference": "← 快于基准", "the first one’s words": "首个错误的原文", "the run: %s": "测量：%s", "threshold": "阈值",
		"time to failure": "失败前用时", "too few answers for a curve": "回答太少，不成曲线",
		"Before and after: %s": "前后对比：%s", "New against old": "新旧之比", "← faster than before": "← 快于之前",
		"%s and then %s": "先 %s，后 %s",
		"How many times the old latency, with the interval. One that touches 1 shows no difference.": "延迟为旧的多少倍，及其区间。触及 1 即未显示差异。",
		"Medians of successes and success rates, before and after":                                   "前后两次成功请求的中位数与成功率",
		"tokens per second after the first text":                                                     "首段之后每秒 token 数", "tokens of an answer": "每个回答的 token 数",
		"kept": "达到", "missed": "未达到",
		"Against the reference": "与基准比较", "Distribution of latencies": "延迟分布", "Latency over time": "延迟随时间的变化", "Where the time goes": "时间用在何处",
		"time to first text (TTFT)": "首段文本的时间（TTFT）", "time between tokens (ITL)": "token 间隔（ITL）", "tokens per second": "每秒 token 数",
		"latency from the actual start": "自实际发出起的延迟", "start later than intended (lag)": "晚于应发时刻（滞后）",
	}
}

func chineseDefinitions() map[string]definition {
	return map[string]definition{
		"latency":       {"延迟", "从请求开始（域名解析之前）到完整回答的最后一个字节；失败只计数，不计入平均"},
		"success":       {"成功率", "有文字的完整回答占全部请求的比例；拒答、空回答、只有思考而无文字的算失败；区间为 Wilson 95% 置信区间"},
		"attempts":      {"尝试", "一个请求可尝试多次，其间的等待计入延迟"},
		"connections":   {"新建／复用", "每个请求新建连接；沿用先前请求留下的连接"},
		"rounds":        {"轮次", "每一轮以随机顺序向各节点发出同样的提示词，并附等长的随机串"},
		"comparison":    {"比较", "逐轮与基准配对；典型比值为 Hodges–Lehmann 估计，区间来自 Wilcoxon 符号秩检验，全部区间同时成立的置信度为 95%（Holm）"},
		"best":          {"最佳", "成功率优先：成功率低于其他节点区间下限的除外；其余之中，逐对比较确证快于其他各节点的"},
		"bestTTFT":      {"最佳", "成功率优先：成功率低于其他节点区间下限的除外；其余之中，逐对比较确证 TTFT 短于其他各节点的"},
		"intended":      {"应发时刻", "固定速率下，延迟和 TTFT 从请求应当发出的时刻算起；“实发”从真正发出算起，两者之差为滞后"},
		"load":          {"在途请求", "平均同时等待的请求数：全部请求耗时之和除以测量时间；请求/s 按同一时间计"},
		"phases":        {"阶段", "成功请求最后一次尝试各部分的平均值"},
		"ttft":          {"TTFT", "从请求开始到第一段非空文本"},
		"itl":           {"ITL", "（延迟 − TTFT）÷ 首个事件之后的文本 token 数，逐个计算，只计 10 个 token 以上的流；一个事件含多个 token 时均分其时间"},
		"decode":        {"解码 token/s", "1 ÷ ITL，逐请求计算：不含 TTFT 的每秒 token 数"},
		"tokens":        {"token/s", "输出 token 数 ÷ 延迟，逐请求计算"},
		"change":        {"变化", "新旧延迟（或 TTFT）两两之比的中位数（Hodges–Lehmann），区间来自 Wilcoxon 秩和检验；不作配对，也不含失败"},
		"successChange": {"成功率的变化", "新的成功率减去旧的，以百分点计，区间为 Newcombe 区间"},
		"intervals":     {"区间", "全部区间同时成立的置信度为 95%（Holm）；只说明这两次测量，不含节点随时段的波动"},
	}
}
