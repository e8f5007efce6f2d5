package cmd

import (
	"encoding/json"
	"strconv"
	"strings"

	"ferry/pkg/wire"

	"github.com/spf13/cobra"
)

func newAskCmd(a *app) *cobra.Command {
	var o callOptions
	var b batchOptions
	c := &cobra.Command{
		Use:   "ask [prompt…|-]",
		Short: "The whole answer to a prompt, once",
		Args:  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("batch") {
				return runBatch(c, a, o, b, args)
			}
			for _, flag := range ofBatch {
				if c.Flags().Changed(flag) {
					return usagef("ferry ask --batch IN.jsonl --out OUT.jsonl", "--%s is a flag of --batch", flag)
				}
			}
			return runCall(c, a, o, args)
		},
	}
	addCallFlags(c, a, &o)
	f := c.Flags()
	f.StringVar(&b.inFile, "batch", "", "ask every line of `IN`, - for standard input: a text, or an object with a prompt")
	f.StringVar(&b.outFile, "out", "", "of --batch: the `FILE` that gets a line for each answer; the same command goes on with it")
	f.IntVarP(&b.concurrency, "concurrency", "c", 8, "of --batch: the most prompts in flight, `N`")
	f.BoolVar(&b.again, "again", false, "of --batch: ask those again that were in flight when an earlier run ended")
	f.IntVar(&b.maxFailures, "max-failures", 100, "of --batch: stop after `N` failures in a row; 0 never stops")
	f.Int64Var(&b.tokenCap, "max-tokens-total", 0, "of --batch: stop before the run could be billed more than `N` tokens")
	f.Func("shard", "of --batch: ask the part `K/N` of the lines, by a hash of their ids; K from 1 to N", b.setShard)
	f.BoolVar(&b.merge, "merge", false, "of --batch: print what the shards answered, whose OUTs are the arguments")
	f.Lookup("output").Usage = "text, json (on every outcome) or raw (the body)"
	f.BoolVarP(&o.extract, "extract", "x", false, "print only the first fenced code block, exit 1 without one; -o json has the whole answer")
	return c
}

func newStreamCmd(a *app) *cobra.Command {
	o := callOptions{streams: true}
	c := &cobra.Command{
		Use:   "stream [prompt…|-]",
		Short: "The answer to a prompt, printed as it arrives",
		Args:  cobra.ArbitraryArgs,
		RunE:  func(c *cobra.Command, args []string) error { return runCall(c, a, o, args) },
	}
	addCallFlags(c, a, &o)
	f := c.Flags()
	addSettingFlags(f, &o.node, "idle_timeout")
	f.BoolVar(&o.thinking, "thinking", false, "show the model's reasoning too, on standard error")
	f.Lookup("output").Usage = "text, json (a line for each piece, then one for the call) or raw (the event stream)"
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
	f.BoolFunc("http3-only", "ask over HTTP/3 and nothing else", func(string) error {
		o.node.given["http3"] = "only"
		return nil
	})
	f.Lookup("http3-only").NoOptDefVal = "only"
	f.StringArrayVar(&o.node.resolve, "resolve", nil, "reach `HOST:PORT:ADDRESS[,ADDRESS]` there; the certificate is still checked for HOST")
	addStoreFlags(f, &o.node)
	f.StringVar(&o.node.api, "api", "", "the `API` of a node given as a URL: "+wire.APINames)
	addSettingFlags(f, &o.node, "output", "render")
	f.Lookup("render").NoOptDefVal, f.Lookup("render").Hidden = "on", true // the default is on
	f.BoolVar(&o.noRender, "no-render", false, "do not style Markdown on a terminal")
	addSettingFlags(f, &o.node, "system")
	f.StringVar(&o.node.role, "role", "", "the system prompt that the configuration has under roles as `NAME`")
	c.MarkFlagsMutuallyExclusive("system", "role")
	f.StringArrayVarP(&o.prompt.files, "file", "f", nil, "add this `FILE` to the prompt, a text, a picture or a PDF; may be repeated")
	f.BoolVar(&o.prompt.noStdin, "no-stdin", false, "never read standard input (also FERRY_STDIN=never)")
	f.StringVar(&o.conversation.name, "session", "", "go on with the conversation `NAME`, or begin it")
	f.BoolVar(&o.conversation.last, "continue", false, "go on with the conversation that was used last")
	f.BoolVar(&o.conversation.fresh, "new", false, "begin a conversation, under a name that is made up or --session's")
	f.BoolVar(&o.conversation.resend, "resend", false, "send the conversation's last prompt again, which got no answer")
	sampling := func(name, usage string, to **float64) {
		f.Func(name, usage, func(text string) error {
			if text == "" { // as if the flag was not given
				*to = nil
				return nil
			}
			value, err := strconv.ParseFloat(text, 64)
			if err != nil || !(value >= 0 && value <= 2) {
				return invalid(name, text, "a number from 0 to 2")
			}
			*to = &value
			return nil
		})
	}
	sampling("temperature", "the sampling temperature `T`, where the node's API has one", &o.request.Temperature)
	sampling("top-p", "nucleus sampling with the mass `P`, where the node's API has it", &o.request.TopP)
	f.StringArrayVar(&o.request.Stop, "stop", nil, "end the answer at this `TEXT`; may be repeated")
	f.StringVar(&o.schema, "schema", "", "hold the answer to the JSON schema in `FILE`, where the node's API can; exit 1 where its top level is another")
	f.Func("param", "set `KEY=VALUE` in the request's body, ferry's own fields too; VALUE is JSON or a text, null takes the field away",
		o.setParam)
	f.StringVar(&o.expect, "expect", "", "exit 5 unless the answer matches this `REGEX`")
	f.BoolVar(&o.strict, "strict", false, "exit 1 unless the answer came to its own end: no limit, refusal, pause or tool call")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the request and a curl line instead of sending it")
	f.BoolVarP(&o.usage, "usage", "u", false, "print the tokens used, on standard error")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show attempts, phases and headers, on standard error")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print no notes, only errors")
	addLanguage(c, a, "the `LANGUAGE` of notes, errors and hints: en or zh; LC_ALL, LC_MESSAGES or LANG by itself")
	c.MarkFlagsMutuallyExclusive("verbose", "quiet")
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
