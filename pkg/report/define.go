package report

import (
	"slices"

	"ferry/pkg/bench"
)

// definition says what a word of the report means.
type definition struct{ term, en, zh string }

// definitions define the words that a summary uses.
func definitions(s *bench.Summary) []definition {
	some := func(has func(*bench.Row) bool) bool { return slices.ContainsFunc(s.Rows, has) }
	all := []definition{
		{"latency", "from the start of a request, before its address is looked up, to the last byte of a whole answer; " +
			"failures are counted and never averaged in",
			"延迟：从请求开始（域名解析之前）到完整回答的最后一个字节；失败只计数，不计入平均"},
		{"success rate", "whole answers among all requests, with the Wilson 95 % interval that so many requests allow",
			"成功率：完整回答占全部请求的比例；区间为 Wilson 95 % 置信区间"},
	}
	for _, d := range []struct {
		used bool
		definition
	}{
		{s.Header.Attempts > 1, retriesDefinition()},
		{s.BothConnections(), definition{"cold, reused",
			"over a new connection for each request, and over one that an earlier request left open",
			"新建／复用：每个请求新建连接；沿用先前请求留下的连接"}},
		{len(s.Header.Nodes) > 1, definition{"rounds",
			"each round asks every node the same, in an order drawn anew, with a nonce of equal length",
			"轮次：每一轮以随机顺序向各节点发出同样的提示，并附等长的随机串"}},
		{compared(s), definition{"comparison",
			"round by round against the reference: the Hodges–Lehmann estimate of the ratio, " +
				"with the 95 % interval of the Wilcoxon signed-rank test",
			"比较：逐轮与参照节点配对；比值为 Hodges–Lehmann 估计，区间来自 Wilcoxon 符号秩检验（95 %）"}},
		{s.BestRow() != nil && len(s.Rows) > 1, bestDefinition(s)},
		{s.Header.Rate > 0, definition{"intended",
			"at a fixed rate, latency counts from when a request was due; actual counts from when it began, " +
				"and lag is what lies between",
			"应发时刻：固定速率下，延迟从请求应当发出的时刻算起；“实际”从真正发出算起，两者之差为滞后"}},
		{some(hasPhases), definition{"phases", "the mean parts of the last attempt of each success",
			"阶段：成功请求最后一次尝试各部分的平均值"}},
		{some(func(r *bench.Row) bool { return present(r.TTFT) }), definition{"TTFT",
			"from the start of a request to its first text that is not empty",
			"TTFT：从请求开始到第一段非空文本"}},
		{some(func(r *bench.Row) bool { return present(r.ITL) }), definition{"ITL",
			"(latency − TTFT) / (output tokens − 1), for each request",
			"ITL：（延迟 − TTFT）÷（输出词元数 − 1），逐请求计算"}},
		{some(func(r *bench.Row) bool { return present(r.TokensPerSecond) }), definition{"tokens/s",
			"output tokens / latency, for each request",
			"tokens/s：输出词元数 ÷ 延迟，逐请求计算"}},
	} {
		if d.used {
			all = append(all, d.definition)
		}
	}
	return all
}

func bestDefinition(s *bench.Summary) definition {
	d := definition{"best", "the lowest p50 among the nodes whose success rate is not shown to be below another's",
		"最佳节点：成功率未显示低于其他节点者之中，p50 最低的节点"}
	if s.BothConnections() {
		kind, zh := bench.Cold, "新建"
		if s.Rows[0].Node.Connection == bench.Reused {
			kind, zh = bench.Reused, "复用"
		}
		d.en += ", over " + string(kind) + " connections"
		d.zh += "（只看" + zh + "连接）"
	}
	return d
}

func retriesDefinition() definition {
	return definition{"attempts", "a request may take several; the waits between them are part of its latency",
		"尝试：一个请求可尝试多次，其间的等待计入延迟"}
}

// hasPhases reports whether any phase of a row took time.
func hasPhases(r *bench.Row) bool {
	p := r.Phases
	return p.DNS > 0 || p.Connect > 0 || p.TLS > 0 || p.Wait > 0 || p.Transfer > 0
}
