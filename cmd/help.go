package cmd

import (
	"fmt"
	"strings"

	"ferry/pkg/config"
	"ferry/pkg/term"

	"github.com/charmbracelet/lipgloss"
	"github.com/spf13/cobra"
)

// newHelpTopics are the pages of `ferry help TOPIC`.
func newHelpTopics(a *app) []*cobra.Command {
	environment := &cobra.Command{Use: "environment", Short: "Every variable that ferry reads"}
	a.longHelp(environment, environmentHelp)
	exitCodes := &cobra.Command{Use: "exit-codes", Short: "What each exit code means"}
	a.longHelp(exitCodes, exitCodesHelp)
	retries := &cobra.Command{Use: "retries", Short: "When a request is tried again, and after how long"}
	a.longHelp(retries, func() string { return retriesHelp })
	return []*cobra.Command{environment, exitCodes, retries}
}

// longHelp gives a command a long text that is made only when somebody asks for it: every run builds every command.
func (a *app) longHelp(c *cobra.Command, long func() string) {
	c.SetHelpFunc(func(c *cobra.Command, _ []string) {
		c.Long = long()
		a.help(c)
	})
}

// helpWidth is that of a terminal on which everything fits; help is the same everywhere.
const helpWidth = 200

func environmentHelp() string {
	rows := [][]string{{"variable", "meaning"}}
	for _, v := range config.Environment() {
		rows = append(rows, []string{v.Name, v.Usage})
	}
	rows = append(rows, [][]string{
		{"HTTPS_PROXY, HTTP_PROXY", "the proxy for https and http nodes; lower-case names win, as with curl"},
		{"ALL_PROXY", "the proxy where neither of these is set: http, https, socks5, socks5h"},
		{"NO_PROXY", "hosts, domains and networks that are reached without one"},
		{"NO_COLOR, TERM=dumb", "no colour and no cursor moves"},
		{"XDG_STATE_HOME", "where ferry/sessions and ferry/limits are; $HOME/.local/state without it"},
		{"XDG_CONFIG_HOME", "where ferry/config.yaml is; $HOME/.config without it"},
	}...)
	return strings.TrimRight("A flag wins over a variable, a variable over the file, the file over the default.\n\n"+
		term.Table(rows, helpWidth, 1, lipgloss.NewStyle()), "\n")
}

func exitCodesHelp() string {
	return fmt.Sprintf(`  %-4d done: the answer is whole
  %-4d the request failed: another status, no answer, a cut answer, time over
  %-4d usage or configuration; nothing was sent
  %-4d gave up: the last attempt failed too, or the server asked for too long a wait
  %-4d the content filter blocked the prompt, of which nothing was sent, or withholds the answer
  %-4d a check missed: --expect
  130  stopped by Ctrl-C (SIGINT); 143 by SIGTERM
  %-4d standard output was closed by its reader

config check exits 1 when a line of it is ✗.`, exitDone, exitFailed, exitUsage, exitGaveUp, exitBlocked, exitMissed, exitPipe)
}

const retriesHelp = `--retry-policy says which rule; i is the number of the attempt that failed.

  what came                     script            retry-after           backoff
  200 with an answer            done              done                  done
  429                           delay × i         Retry-After or 5 s    Retry-After or jitter
  502, 503, 504                 i seconds         i seconds             jitter
  any other 5xx                 fail              i seconds             jitter
  408, 409                      fail              fail                  jitter
  any other status              fail              fail                  fail
  200 that is no answer         fail              2^(i-1) seconds       jitter
  no answer at all              fail              2^(i-1) seconds       jitter
  certificate, redirect         fail              fail                  fail

script is the default and does what the bash script did that ferry replaces: three attempts, delay 2 s. jitter is a
random time up to 0.5 s × 2^(i-1), at most 8 s. A Retry-After of more than 60 s ends the attempts. --retry-delay moves
only the script's wait after a 429.

With several nodes (-n a,b or node: [a, b]) the next one is asked where one gave up, answered with 429 or a 5xx to the
end, or did not answer. What another node would refuse too, a certificate, a redirect and an answer that came in part
end the call. A node in another zone is asked only with --across.`
