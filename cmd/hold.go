package cmd

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"ferry/pkg/config"
	"ferry/pkg/hold"
	"ferry/pkg/state"
	"ferry/pkg/text"
	"ferry/pkg/transport"

	"github.com/spf13/cobra"
)

// heldTransport returns a transport whose connection outlives the command, if that is possible.
func (s *settings) heldTransport(e *endpoint, idle time.Duration) (http.RoundTripper, error) {
	if s.noStore || s.Program == nil {
		return transport.New(e.options)
	}
	if !hold.Supported {
		if s.values.Given("hold") {
			return nil, usagef("leave it out: each call makes its own connection there", "--hold: %s", noHolders)
		}
		s.note("hold is off: %s", noHolders)
		return transport.New(e.options)
	}
	dir, err := s.holdDir()
	if err != nil {
		return transport.New(e.options) // no directory for the socket of a holder
	}
	// A holder gets only the variables for the system's certificates, and no key.
	var env []string
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, ok := s.Lookup(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return hold.New(hold.Settings{
		Reach: e.options, Idle: idle, Dir: dir,
		Launch: hold.Launch{Program: s.Program(), Args: []string{"config", "hold", holdRun, e.Name}, Env: env},
	})
}

// noHolders says why a connection cannot outlive the command.
const noHolders = runtime.GOOS + " has no holders"

// holdRun is the hidden command that a holder runs as.
const holdRun = "run"

// holdDir returns the directory of the holders' sockets, in XDG_RUNTIME_DIR if possible, which is removed at logout.
func (e Env) holdDir() (string, error) {
	// Under sudo the directory can belong to another user.
	if dir := e.Lookup.Get("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && state.CheckOwn(dir, fs.ModeDir) == nil {
		return filepath.Join(dir, "ferry"), nil
	}
	dir, err := e.stateDir()
	return filepath.Join(dir, "hold"), err
}

func newConfigHoldCmd(a *app) *cobra.Command {
	var form string
	c := &cobra.Command{
		Use:   "hold",
		Short: "List the connections kept open for later commands",
		Args:  a.onlyCommands,
		RunE:  withLoaded(a.holdDir, func(_ context.Context, dir string, _ []string) error { return a.listHolders(dir, form) }),
	}
	choiceFlag(c, &form, "output", "o", "output `FORMAT`: text, or json (one object per line)", "text", "json")
	c.AddCommand(newHoldStopCmd(a), newHoldRunCmd(a))
	return c
}

// holderJSON is a holder as -o json prints it. Fields are only ever added.
type holderJSON struct {
	Node        string  `json:"node"`
	Address     string  `json:"address"`
	PID         int     `json:"pid"`
	AgeS        float64 `json:"age_s"`
	Requests    int     `json:"requests"`
	InUse       int     `json:"lent"`
	Connections int     `json:"connections"`
	Memory      int64   `json:"memory_bytes"`
	LeftS       float64 `json:"idle_left_s"`
}

func (a *app) listHolders(dir, form string) error {
	if !hold.Supported {
		a.note(noHolders)
		return nil
	}
	all, unresponsive, err := hold.List(dir)
	if err != nil {
		return err
	}
	a.noteUnresponsive(unresponsive)
	if form == "json" {
		for _, h := range all {
			line := holderJSON{
				h.Node, h.Address, h.PID, h.Age.Seconds(), h.Requests, h.Lent, h.Connections, h.Memory, h.Left.Seconds(),
			}
			if err := a.printJSON(line); err != nil {
				return err
			}
		}
		return nil
	}
	l := listing[hold.Status]{
		heading: []string{"node", "age", "requests", "connections", "memory", "idle left", "pid"},
		keep:    1, cards: true, row: holderRow,
	}
	if unresponsive == 0 {
		l.none = "no connection is held; ferry ask --hold 5m keeps one open"
	}
	return l.show(a, form, all)
}

func holderRow(h hold.Status) []string {
	left, memory := h.Left.Round(time.Second).String(), "-"
	if h.Lent > 0 {
		left = "in use"
	}
	if h.Memory > 0 {
		memory = fmt.Sprintf("%.1f MiB", float64(h.Memory)/(1<<20))
	}
	return []string{h.Node, h.Age.Round(time.Second).String(), strconv.Itoa(h.Requests), strconv.Itoa(h.Connections),
		memory, left, strconv.Itoa(h.PID)}
}

func newHoldStopCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "stop [node…]",
		Short:             "Stop the holders of these nodes, or all; requests in progress are finished",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeNodes,
		RunE: withLoaded(a.holdDir, func(_ context.Context, dir string, nodes []string) error {
			if !hold.Supported {
				a.note(noHolders)
				return nil
			}
			ended, unresponsive, err := hold.Stop(dir, nodes...)
			if err != nil {
				return err
			}
			for _, h := range ended {
				a.note("ended the holder of %s (pid %d)", h.Node, h.PID)
				nodes = slices.DeleteFunc(nodes, func(node string) bool { return node == h.Node })
			}
			a.noteUnresponsive(unresponsive)
			switch {
			case unresponsive > 0:
			case len(nodes) > 0:
				return a.noteUnheld(dir, nodes)
			case len(ended) == 0:
				a.note("no connection is held")
			}
			return nil
		}),
	}
}

// noteUnresponsive notes that holders do not answer. Their nodes are not known.
func (a *app) noteUnresponsive(unresponsive int) {
	if unresponsive > 0 {
		a.note("%s did not answer: it may be stopped, or the machine is busy", text.Count(unresponsive, "holder"))
	}
}

// noteUnheld notes for each node that it has no holder, and suggests a similar node that has one.
func (a *app) noteUnheld(dir string, nodes []string) error {
	left, _, err := hold.List(dir)
	names := mapSlice(left, func(h hold.Status) string { return h.Node })
	for _, node := range nodes {
		said := "no connection is held for " + node
		if near := config.TypoOf(node, names); near != "" {
			said += "; did you mean " + near + "?"
		}
		a.note("%s", said)
	}
	return err
}

// newHoldRunCmd returns the command that a holder runs as. Its argument, the node's name, is only for process lists.
func newHoldRunCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    holdRun + " NODE",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := a.Catch(c.Context())
			defer stop()
			return hold.Serve(ctx, a.Stdin, a.Program(), a.Clock)
		},
	}
}
