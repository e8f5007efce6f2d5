package cmd

import (
	"encoding/json"
	"strconv"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/report"
	"ferry/pkg/wire"

	"github.com/spf13/cobra"
)

func newAskCmd(a *app) *cobra.Command {
	var o callOptions
	var b batchOptions
	c := &cobra.Command{
		Use:   "ask [prompt…|-]",
		Short: "Send a prompt and print the complete answer",
		Args:  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("batch") {
				return runBatch(c, a, o, b, args)
			}
			for _, flag := range batchFlags {
				if c.Flags().Changed(flag) {
					return usagef("ferry ask --batch IN.jsonl --out OUT.jsonl", "--%s is a flag of --batch", flag)
				}
			}
			return runCall(c, a, o, args)
		},
	}
	addCallFlags(c, a, &o)
	f := c.Flags()
	f.StringVar(&b.inFile, "batch", "",
		"send each line of `IN` (- for standard input) as a prompt: text, or a JSON object")
	f.StringVar(&b.outFile, "out", "",
		"with --batch: write one line per answer to `FILE`; the same command resumes the run")
	f.IntVarP(&b.concurrency, "concurrency", "c", 8, "with --batch: keep at most `N` prompts in flight")
	f.BoolVar(&b.again, "again", false,
		"with --batch: also retry prompts that were in flight when an earlier run ended")
	f.IntVar(&b.maxFailures, "max-failures", 100, "with --batch: stop after `N` failures in a row; 0 means no limit")
	f.Int64Var(&b.tokenCap, "max-tokens-total", 0,
		"with --batch: stop before the run could be billed more than `N` tokens")
	checkedVar(f, &b.shard, "shard", "", "",
		"with --batch: process only part `K/N` of the lines, by a hash of their ids; K is 1 to N",
		"K/N, such as 3/20: K from 1 to N, and N at most 10000", client.ParseShard)
	f.BoolVar(&b.merge, "merge", false,
		"with --batch: print the answers of all shards; the arguments are their --out files")
	f.Lookup("output").Usage = "output format: text, json (on every outcome) or raw (the response body)"
	f.BoolVarP(&o.extract, "extract", "x", false,
		"print only the first fenced code block; exit 1 if there is none; -o json has the complete answer")
	return c
}

func newStreamCmd(a *app) *cobra.Command {
	o := callOptions{streams: true}
	c := &cobra.Command{
		Use:   "stream [prompt…|-]",
		Short: "Send a prompt and print the answer as it arrives",
		Args:  cobra.ArbitraryArgs,
		RunE:  func(c *cobra.Command, args []string) error { return runCall(c, a, o, args) },
	}
	addCallFlags(c, a, &o)
	f := c.Flags()
	addSettingFlags(f, &o.node, "idle_timeout")
	f.BoolVar(&o.thinking, "thinking", false, "also print the model's reasoning, to standard error")
	f.Lookup("output").Usage = "output format: text, json (a line per piece, then one for the call) or raw (the event stream)"
	return c
}

// callOptions are the flags of ask and stream.
type callOptions struct {
	node         nodeOptions
	prompt       promptOptions
	conversation conversationOptions
	request      wire.Request // the fields that have their own flags
	schema       string
	output       string
	expect       string
	usage        bool
	verbose      bool
	quiet        bool
	dryRun       bool
	strict       bool
	streams      bool
	thinking     bool
	extract      bool
	noRender     bool
}

// conversationOptions select the conversation of a call.
type conversationOptions struct {
	name   string
	last   bool
	fresh  bool
	resend bool
}

// addCallFlags declares the flags that ask and stream share.
func addCallFlags(c *cobra.Command, a *app, o *callOptions) {
	f := c.Flags()
	f.SortFlags = false
	addSettingFlags(f, &o.node, "node", "model", "max_tokens", "retry.policy", "retry.attempts", "retry.delay",
		"timeout", "connect_timeout", "limit", "hold", "http3", "pick", "proxy", "failover.across")
	f.Lookup("across").NoOptDefVal = "true"
	f.Lookup("http3").NoOptDefVal = "true"
	f.BoolFunc("http3-only", "use only HTTP/3, never TCP", func(value string) error {
		only, err := strconv.ParseBool(value)
		if only {
			o.node.given["http3"] = "only"
		}
		return err
	})
	f.StringArrayVar(&o.node.resolve, "resolve", nil,
		"`HOST:PORT:ADDRESS[,ADDRESS]`: connect to ADDRESS instead; the certificate is still checked for HOST")
	addStoreFlags(f, &o.node)
	f.StringVar(&o.node.api, "api", "", "`API` of a node given as a URL: "+wire.APINames)
	addSettingFlags(f, &o.node, "output", "render")
	f.Lookup("render").NoOptDefVal, f.Lookup("render").Hidden = "on", true // the default is on
	f.BoolVar(&o.noRender, "no-render", false, "do not style Markdown on a terminal")
	addSettingFlags(f, &o.node, "system")
	f.StringVar(&o.node.role, "role", "", "use the system prompt `NAME` from roles in the configuration")
	c.MarkFlagsMutuallyExclusive("system", "role")
	f.StringArrayVarP(&o.prompt.files, "file", "f", nil,
		"add `FILE` to the prompt: text, a picture or a PDF; can be repeated")
	f.BoolVar(&o.prompt.noStdin, "no-stdin", a.Lookup.Get("FERRY_STDIN") == "never", "never read standard input (also FERRY_STDIN=never)")
	f.StringVar(&o.conversation.name, "session", "", "continue the conversation `NAME`, or start it")
	f.BoolVar(&o.conversation.last, "continue", false, "continue the most recently used conversation")
	f.BoolVar(&o.conversation.fresh, "new", false,
		"start a new conversation, with the name from --session or a generated one")
	f.BoolVar(&o.conversation.resend, "resend", false, "send the conversation's last prompt again if it got no answer")
	checkedVar(f, &o.request.Temperature, "temperature", "", "",
		"sampling temperature `T`, 0 to 2, if the node's API supports it", "a number from 0 to 2", parseSampling)
	checkedVar(f, &o.request.TopP, "top-p", "", "",
		"nucleus sampling with probability mass `P`, if the node's API supports it", "a number from 0 to 2", parseSampling)
	f.StringArrayVar(&o.request.Stop, "stop", nil, "end the answer at `TEXT`; can be repeated")
	f.StringVar(&o.schema, "schema", "",
		"request JSON that follows the schema in `FILE`, if the node's API supports it; exit 1 if its top level does not")
	f.Func("param",
		"set the field `KEY=VALUE` of the request body: any but the prompt and stream; VALUE is JSON or text, null removes it",
		o.setParam)
	f.StringVar(&o.expect, "expect", "", "exit 5 unless the answer matches `REGEX`")
	f.BoolVar(&o.strict, "strict", false, "exit 1 if the answer stopped at a limit, a refusal, a pause or a tool call")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the request and a curl command instead of sending it")
	f.BoolVarP(&o.usage, "usage", "u", false, "print the tokens used to standard error")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print attempts, phases and headers to standard error")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print only errors, no notes")
	checkedVar(f, &a.lang, "lang", "", "",
		"`LANGUAGE` of notes, errors and hints: en or zh (default from LC_ALL, LC_MESSAGES or LANG)",
		"one of "+strings.Join(report.Languages, ", "), report.Language)
	c.MarkFlagsMutuallyExclusive("verbose", "quiet")
}

// parseSampling parses a number from 0 to 2. An empty string is as if the flag was not given.
func parseSampling(text string) (*float64, bool) {
	if text == "" {
		return nil, true
	}
	value, err := strconv.ParseFloat(text, 64)
	return &value, err == nil && value >= 0 && value <= 2
}

// setParam parses --param.
func (o *callOptions) setParam(param string) error {
	key, value, ok := strings.Cut(param, "=")
	if !ok || key == "" {
		return invalid("param", param, "KEY=VALUE, such as top_k=5")
	}
	raw := json.RawMessage(value)
	if !json.Valid(raw) {
		raw, _ = json.Marshal(value) // encoding a string cannot fail
	}
	if o.request.Params == nil {
		o.request.Params = map[string]json.RawMessage{}
	}
	o.request.Params[key] = raw
	return nil
}
