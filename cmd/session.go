package cmd

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/config"
	"ferry/pkg/session"
	"ferry/pkg/text"

	"github.com/spf13/cobra"
)

func newConfigSessionCmd(a *app) *cobra.Command {
	return a.group("session", "List, show and remove stored conversations",
		newSessionListCmd(a), newSessionShowCmd(a), newSessionRmCmd(a), newSessionPruneCmd(a),
	)
}

func newSessionListCmd(a *app) *cobra.Command {
	list := func(store session.Store, form string) error {
		infos, err := store.List()
		if err != nil {
			return err
		}
		var all []sessionJSON
		for _, info := range infos {
			s := sessionJSON{Info: info}
			if info.Err != nil {
				s.Error = info.Err.Error()
			}
			all = append(all, s)
		}
		return listing[sessionJSON]{
			name: "sessions", none: "there are no conversations; ferry ask --session NAME begins one",
			heading: []string{"conversation", "used", "turns", "nodes", ""}, keep: 1, row: a.sessionRow,
		}.show(a, form, all)
	}
	return listCmd("list", "List all conversations, the most recently used first", a.sessions, list)
}

// sessionJSON is a conversation as -o json prints it. Fields are only ever added.
type sessionJSON struct {
	session.Info
	Error string `json:"error,omitempty"`
}

func (a *app) sessionRow(s sessionJSON) []string {
	state, turns := "", strconv.Itoa(s.Turns)
	switch {
	case s.Error != "":
		state, turns = "cannot be read", ""
	case s.Pending:
		state = "the last prompt has no answer"
	}
	return []string{s.Name, a.moment(s.Used), turns, s.Nodes, state}
}

// moment formats a time for people, in their time zone.
func (e Env) moment(t time.Time) string { return t.In(e.Clock.Now().Location()).Format(time.DateTime) }

func newSessionShowCmd(a *app) *cobra.Command {
	var form string
	c := &cobra.Command{
		Use:               "show NAME",
		Short:             "Print the text of a conversation",
		Args:              requireArgs("the name of a conversation", 1),
		ValidArgsFunction: completeArgs(1, namesOf(a.sessions, sessionNames)),
		RunE: withLoaded(a.sessions, func(_ context.Context, store session.Store, args []string) error {
			found, err := store.Read(args[0])
			switch {
			case err != nil:
				return err
			case form == "json":
				return a.printJSON(found)
			}
			return a.write([]byte(a.transcript(found)))
		}),
	}
	choiceFlag(c, &form, "output", "o", "output `FORMAT`: text, or json (the stored object)", "text", "json")
	return c
}

// transcript returns a conversation as text, with role, time, node and model above each turn.
func (a *app) transcript(s *session.Session) string {
	var b strings.Builder
	addTurn := func(words string, heading ...string) {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		line := strings.Join(slices.DeleteFunc(heading, func(part string) bool { return part == "" }), " · ")
		if a.out.TTY {
			words = text.Visible(words)
		}
		line = a.outStyles().Strong.Render(text.Line(text.Shown(line, text.MaxNamed)))
		b.WriteString(line + "\n" + strings.TrimRight(words, "\n") + "\n")
	}
	for _, turn := range s.Turns {
		addTurn(withFiles(turn.Text, turn.Files), turn.Role, a.moment(turn.At), turn.Node, turn.Model)
	}
	if s.Pending != "" {
		addTurn(withFiles(s.Pending, s.PendingFiles), session.User, a.moment(s.Used), "no answer yet")
	}
	return b.String()
}

// withFiles lists the files of a turn above its text.
func withFiles(words string, files []session.File) string {
	var named string
	for _, f := range files {
		named += fmt.Sprintf("[%s, %s, %s]\n", text.Line(f.Name), text.Line(f.Type), text.Count(f.Size, "byte"))
	}
	return named + words
}

func newSessionRmCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "rm NAME…",
		Short:             "Remove conversations with their text",
		SuggestFor:        []string{"remove", "delete"},
		Args:              requireAtLeastOne("the names of conversations", "ferry config session list"),
		ValidArgsFunction: completeArgs(math.MaxInt, namesOf(a.sessions, sessionNames)),
		RunE: withLoaded(a.sessions, func(ctx context.Context, store session.Store, args []string) error {
			removed, err := store.Remove(ctx, args...)
			a.noteRemoved(removed)
			return err
		}),
	}
}

func newSessionPruneCmd(a *app) *cobra.Command {
	var age time.Duration
	c := &cobra.Command{
		Use:   "prune --older-than DURATION",
		Short: "Remove conversations that were not used for a given time",
		Args:  noArgs,
		RunE: withLoaded(a.sessions, func(ctx context.Context, store session.Store, _ []string) error {
			if age == 0 {
				return usagef("ferry config session prune --older-than 7d", "--older-than needs a duration")
			}
			removed, err := store.Prune(ctx, age, a.Clock.Now())
			if len(removed) == 0 && err == nil {
				a.note("nothing to remove")
			}
			a.noteRemoved(removed)
			return err
		}),
	}
	checkedVar(c.Flags(), &age, "older-than", "", "", "minimum `DURATION` without use, such as 7d, 36h or 1d12h; required",
		"a duration above 0, such as 7d, 36h or 1d12h", parseAge)
	_ = c.RegisterFlagCompletionFunc("older-than", cobra.NoFileCompletions)
	return c
}

func (a *app) noteRemoved(names []string) {
	if len(names) > 0 {
		a.note("removed %s: %s", text.Count(len(names), "conversation"), strings.Join(names, ", "))
	}
}

// parseAge parses a duration above 0 in Go's form, optionally with days of 24 hours in front: 7d, 36h, 1d12h.
func parseAge(text string) (time.Duration, bool) {
	const day = 24 * time.Hour
	var age time.Duration
	if days, rest, hasDays := strings.Cut(text, "d"); hasDays {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, false
		}
		age, text = time.Duration(n)*day, cmp.Or(rest, "0")
	}
	part, err := time.ParseDuration(text)
	return age + part, err == nil && part >= 0 && age+part >= age && age+part > 0
}

// sessions returns the store of conversations.
func (e Env) sessions() (session.Store, error) {
	dir, err := e.stateDir()
	if err != nil {
		return session.Store{}, err
	}
	return session.Store{Dir: filepath.Join(dir, "sessions")}, nil
}

// stateDir returns the directory of ferry's state.
func (e Env) stateDir() (string, error) { return config.StateDir(runtime.GOOS, e.Lookup) }

// sessionNames returns the names of all conversations, for completion.
func sessionNames(store session.Store) []string {
	names, _ := store.Names()
	return names
}
