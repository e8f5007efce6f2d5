package cmd

import (
	"cmp"
	"strconv"
	"strings"

	"ferry/pkg/report"

	"github.com/spf13/cobra"
)

// inChinese are the errors, hints and notes that a newcomer meets first, in English with {} for any text and in Chinese
// with {1}, {2}… for these texts. What is not here is said in English.
var inChinese = [...][2]string{
	// The demo node and the key.
	{"{} is the demo node: its answers are made up here", "{1} 是演示节点，回答在本机生成，没有调用模型"},
	{"the demo node knows no fault {}", "演示节点没有故障参数 {1}"},
	{"did you mean {}? {}", "是不是想写 {1}？{2}"},
	{"did you mean {}?", "是不是想写 {1}？"},
	{"ferry demo --help lists the faults", "ferry demo --help 列出所有故障参数"},
	{"no key for node {}", "节点 {1} 没有密钥"},
	{"or try it without one: {}", "也可以先不用密钥试一试：{1}"},
	{"or, if it wants none: {}", "如果它不需要密钥：{1}"},
	{"or have it asked for and kept: {}", "也可以让 ferry 询问并保存：{1}"},
	{"the key from {} is not set or empty", "密钥引用 {1} 没有设置，或者是空的"},
	{"status 401: {}", "密钥被拒绝（401）：{1}"},
	{"status 403: {}", "没有权限（403）：{1}"},
	{"the key came from {}", "密钥来自 {1}"},
	{"this node was asked without a key", "请求没有带密钥"},
	{"ferry config key {} stores another", "用 ferry config key {1} 存入新的密钥"},
	{"ferry config key {} stores one", "用 ferry config key {1} 存入密钥"},

	// Mistakes on the command line and in the file.
	{"unknown node {} (from {})", "没有节点 {1}（来自 {2}）"},
	{"flag {}", "参数 {1}"},
	{"ferry config nodes lists them, ferry config add the providers that ferry knows",
		"ferry config nodes 列出已有的节点，ferry config add 列出支持的厂商"},
	{"there is no command {} of {}", "{2} 没有命令 {1}"},
	{"there is no command {}", "没有命令 {1}"},
	{"{} lists the commands", "{1} 列出所有命令"},
	{"the prompt is empty", "提示词是空的"},
	{"give it as arguments, as in {}, in a pipe or with -f", "可以写在命令行里，如 {1}，也可以来自管道或 -f"},
	{"{} lists them", "{1} 可列出全部"},
	{"{} lists the flags", "{1} 列出所有参数"},
	{"unknown flag: {}", "没有参数 {1}"},
	{"a prompt that begins with a dash goes behind --: {}", "以减号开头的提示词要放在 -- 后面：{1}"},
	{"there is no file {}", "找不到文件 {1}"},
	{"correct the path, or unset FERRY_CONFIG", "请更正路径，或取消环境变量 FERRY_CONFIG"},
	{"ferry config init writes a file there", "ferry config init 会在那里生成一个配置文件"},
	{"unknown key", "没有这个配置项"},

	// What a server says.
	{"status 404: {}", "地址或模型不存在（404）：{1}"},
	{"is the path right? it comes from {} and from api {}", "路径对吗？它由 {1} 和 api {2} 决定"},
	{"another api has another path", "换一种 api，路径也会不同"},
	{"-m MODEL asks for another model", "用 -m 指定另一个模型"},
	{"{} lists what there is", "{1} 列出可用的模型"},
	{"status 429: {}", "请求太频繁或额度不足（429）：{1}"},
	{"--attempts allows more, --retry-policy retry-after waits as the server asks",
		"--attempts 可增加次数，--retry-policy retry-after 按服务器要求的时间等待"},
	{"the account of this key is used up or at its limit: no retry lifts that", "这个密钥的账户已欠费或达到上限，重试没有用"},
	{"-n a,b asks another node then", "-n a,b 会在这时改问下一个节点"},
	{"gave up after {} attempt: {}", "尝试 {1} 次后放弃：{2}"},
	{"gave up after {} attempts: {}", "尝试 {1} 次后放弃：{2}"},
	{"--retry-policy retry-after tries again on every 5xx", "加上 --retry-policy retry-after，遇到任何 5xx 都会重试"},

	// The way to it.
	{"no whole answer within the timeout of {}", "{1} 内没有收到完整的回答，已超时"},
	{"no connection to {} within {}", "{2} 内没有连上 {1}"},
	{"nothing came for {}", "{1} 没有收到任何数据"},
	{"{} allows more time", "用 {1} 放宽时间"},
	{"cut after {} events: {}", "回答不完整：收到 {1} 个事件后中断：{2}"},
	{"cut after {} events", "回答不完整：收到 {1} 个事件后中断"},
	{"the answer was cut after {} bytes", "回答不完整：收到 {1} 字节后中断"},
	{"TLS certificate of {} rejected: {}", "{1} 的 TLS 证书未通过验证：{2}"},
	{"its certificate expired on {}", "证书已于 {1} 过期"},
	{"its certificate is signed by an unknown authority", "签发证书的机构不受信任"},
	{"its certificate is for {}", "证书属于 {1}"},
	{"for a private authority say tls: {ca: FILE}", "如果是私有 CA，请配置 tls: {ca: 文件}"},
	{"check the node's url", "请检查节点的 url"},
	{"no address for {}: {}", "域名 {1} 无法解析：{2}"},
	{"no such host", "域名不存在"},
	{"is the host right? it comes from {}", "域名对吗？它来自 {1}"},
	{"the URL", "命令行里的 URL"},
	{"cannot connect to {}: {}", "无法连接 {1}：{2}"},
	{"connection refused", "连接被拒绝"},
	{"is the server running? {}", "服务启动了吗？{1}"},
	{"--retry-policy retry-after tries again when no answer comes", "加上 --retry-policy retry-after，没有收到回答时也会重试"},
	{"cannot connect through the proxy {}: {}", "无法通过代理 {1} 连接：{2}"},
	{"the proxy comes from {}, and --proxy none does without one", "代理来自 {1}，--proxy none 可不用代理"},
	{"nothing was sent", "没有发送任何请求"},

	// ferry's own rules.
	{"the content filter blocked the prompt: {}", "内容过滤拦截了提示词：{1}"},
	{"line {} of {}", "{2} 第 {1} 行"},
	{"look at that line of the list, then change the prompt or the list", "请查看词表的这一行，再修改提示词或词表"},
	{"the limit of {} allows the next request in {}, which is too late", "限速 {1}：{2} 后才能发送下一个请求，超出了时限"},
	{"requests that were sent or wait already come first", "已发送和排队中的请求优先"},
	{"a longer --timeout waits for its turn", "加大 --timeout 可以排队等待"},
	{"the budget of {} is used up: {} today", "预算 {1} 已用完：今天用了 {2}"},
	{"a new day begins at midnight", "零点重新计算"},
	{"ferry config usage shows what used it", "ferry config usage 查看用量"},

	// Waiting, and its end.
	{"{}; attempt {} of {} in {}", "{1}；{4} 后进行第 {2} 次尝试（共 {3} 次）"},
	{"attempt {} of {}", "第 {1} 次尝试（共 {2} 次）"},
	{"at most {}", "最多 {1}"},
	{"answered on attempt {} of {}, after {}", "第 {1} 次尝试成功（共 {2} 次），此前：{3}"},
	{"looking up the address…{}", "正在解析域名…{1}"},
	{"connecting…{}", "正在连接…{1}"},
	{"TLS handshake…{}", "正在进行 TLS 握手…{1}"},
	{"sending the request…{}", "正在发送请求…{1}"},
	{"waiting for the answer…{}", "正在等待回答…{1}"},
	{"waiting for the first token…{}", "正在等待第一个 token…{1}"},
	{"receiving the answer…{}", "正在接收回答…{1}"},
	{"stopped by {}", "已中断（{1}）"},
	{"what was sent was refused, which costs no tokens", "发送的请求被拒绝，不消耗 token"},
	{"a request was sent, which may have been carried out and billed", "已发送一个请求，它可能已执行并计费"},
	{"{} requests were sent, which may have been carried out and billed", "已发送 {1} 个请求，它们可能已执行并计费"},
}

// addLanguage declares the flag --lang.
func addLanguage(c *cobra.Command, a *app, usage string) {
	checked(c.Flags(), &a.lang, "lang", "", "", usage, "one of "+strings.Join(report.Languages(), ", "), report.Language)
	_ = c.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions(report.Languages(), cobra.ShellCompDirectiveNoFileComp))
}

// language is the one of --lang or else of the locale; English where ferry has no words of it.
func (a *app) language() string {
	locale := cmp.Or(a.lang, a.Lookup.Get("LC_ALL"), a.Lookup.Get("LC_MESSAGES"), a.Lookup.Get("LANG"))
	language, _ := report.Language(locale)
	return language
}

// local is a message in the user's language. In Chinese its lines, the parts of a hint and what stands behind the name of
// a node or a file are looked for one by one.
func (a *app) local(message string) string {
	if a.language() != report.Chinese {
		return message
	}
	return chinese(message)
}

// mostTranslated is the longest message that is looked through: what is longer has a server's words.
const mostTranslated = 4 << 10

func chinese(message string) string {
	if len(message) > mostTranslated {
		return message
	}
	if said, ok := inRow(message); ok {
		return said
	}
	lines := strings.Split(message, "\n")
	for i, line := range lines {
		lines[i], _ = chineseLine(line)
	}
	return strings.Join(lines, "\n")
}

// chineseLine translates a line, and reports whether any part of it was found. Where what stands behind a name has nothing
// that is known, the parts of the line are looked for as they are, so that no part is gone through twice.
func chineseLine(line string) (said string, found bool) {
	if said, found = inRow(line); found {
		return said, true
	}
	if name, rest, ok := strings.Cut(line, ": "); ok && !strings.Contains(name, " ") {
		if said, found = chineseLine(rest); found {
			return name + "：" + said, true
		}
	}
	parts := strings.Split(line, "; ")
	for i, part := range parts {
		if said, ok := inRow(part); ok {
			parts[i], found = said, true
		} else if name, rest, ok := strings.Cut(part, ": "); ok && len(parts) > 1 && !strings.Contains(name, " ") {
			if said, ok := inRow(rest); ok {
				parts[i], found = name+"："+said, true
			}
		}
	}
	if !found {
		return line, false
	}
	return strings.Join(parts, "；"), true
}

// inRow translates a message that is in the table. The first row that fits is taken.
func inRow(message string) (said string, ok bool) {
	for _, row := range inChinese {
		texts, fit := fits(row[0], message)
		if !fit {
			continue
		}
		var filled []string
		for i, text := range texts {
			if !strings.HasPrefix(row[0], "status ") { // behind which are the server's words
				text = chinese(text)
			}
			filled = append(filled, "{"+strconv.Itoa(i+1)+"}", text)
		}
		return strings.NewReplacer(filled...).Replace(row[1]), true
	}
	return "", false
}

// fits finds the texts that stand for {} in a message of the pattern. The last text may contain "; " only where the pattern
// ends in ": {}": another error follows there, and elsewhere the next part of a hint.
func fits(pattern, message string) (texts []string, ok bool) {
	parts := strings.Split(pattern, "{}")
	message, ok = strings.CutPrefix(message, parts[0])
	for _, part := range parts[1:] {
		at := strings.Index(message, part)
		if part == "" {
			at = len(message)
			ok = ok && (strings.HasSuffix(pattern, ": {}") || !strings.Contains(message, "; "))
		}
		if !ok || at < 0 {
			return nil, false
		}
		texts, message = append(texts, message[:at]), message[at+len(part):]
	}
	return texts, ok && message == ""
}
