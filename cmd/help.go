package cmd

import (
	"embed"
	"io"
	"strings"

	"ferry/pkg/config"

	"github.com/spf13/cobra"
)

// topics are the pages of `ferry help TOPIC`. A test runs the commands on the page of the exit codes.
//
//go:embed topics
var topics embed.FS

// newHelpTopics are the topics as commands.
func newHelpTopics(a *app) []*cobra.Command {
	var all []*cobra.Command
	for _, topic := range [][2]string{
		{"batch", "Many prompts in one run: files, what is asked again, what bounds it"},
		{"configuration", "What the file can say of keys, TLS, pins, proxies and requests"},
		{"curl", "curl's options and the bash/curl script, in ferry's words"},
		{"environment", "Every variable that ferry reads"},
		{"exit-codes", "What each exit code means, its causes and cures"},
		{"failover", "Which failure of a node makes ferry ask the next one"},
		{"filter", "The content filter, redaction and the audit log"},
		{"gateway", "A reverse proxy of your own, with tokens and roles"},
		{"hold", "A connection to a node that outlives the command"},
		{"limits", "Request limits and budgets of tokens"},
		{"measuring", "What bench measures, and how sure it is"},
		{"path", "How ferry connects: raced handshakes, HTTP/3, the fastest of several nodes"},
		{"retries", "When a request is tried again, and after how long"},
		{"storage", "What is kept on this machine, where and for how long"},
	} {
		c := &cobra.Command{Use: topic[0], Short: topic[1]}
		a.longHelp(c, func() string {
			if c.Use == "environment" {
				return environmentHelp(helpWidth(a.out.Facts))
			}
			page, _ := topics.ReadFile("topics/" + c.Use + ".txt") // a golden file holds each page
			return string(page)
		})
		all = append(all, c)
	}
	return all
}

// longHelp gives a command a long text that is made only on demand: every run builds every command.
func (a *app) longHelp(c *cobra.Command, long func() string) {
	c.SetHelpFunc(func(c *cobra.Command, _ []string) {
		c.Long = long()
		a.help(c)
	})
}

// environmentHelp is made for its width: its names are too long for one column of every width.
func environmentHelp(width int) string {
	var rows [][2]string
	for _, v := range config.Environment() {
		rows = append(rows, [2]string{v.Name, v.Usage})
	}
	rows = append(rows, [][2]string{
		{"HTTPS_PROXY, HTTP_PROXY", "the proxy for https and http nodes; lower-case names win, as with curl"},
		{"ALL_PROXY", "the proxy where neither of these is set: http, https, socks5, socks5h"},
		{"NO_PROXY", "hosts, domains and networks that are reached without one, as loopback always is"},
		{"NO_COLOR, TERM=dumb", "no colour and no cursor moves"},
		{"LANG", "the language of reports, errors and hints, such as zh_CN; LC_ALL and LC_MESSAGES win"},
		{"XDG_STATE_HOME", "where ferry/sessions, ferry/limits and ferry/models are; $HOME/.local/state without it"},
		{"XDG_RUNTIME_DIR", "where the sockets of held connections are, in ferry/; the folder of XDG_STATE_HOME without it"},
		{"XDG_CONFIG_HOME", "where ferry/config.yaml is; $HOME/.config without it"},
	}...)
	return "A flag wins over a variable, a variable over the file, the file over the default.\n\n" + columns(rows, width)
}

// Commands is the tree of all commands and topics, each with its long text, for what is made of them outside of the
// binary: the man pages. Nothing in the binary calls it, so that the linker leaves it out.
func Commands() *cobra.Command {
	a := newApp(Env{
		Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard,
		Lookup: func(string) (string, bool) { return "", false },
	})
	root := newRootCmd(a, nil)
	withLongTexts(root)
	return root
}

// withLongTexts renders every help page and drops the output: some long texts are made only then.
func withLongTexts(c *cobra.Command) {
	c.HelpFunc()(c, nil)
	for _, child := range c.Commands() {
		withLongTexts(child)
	}
}
