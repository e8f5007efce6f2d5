package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ferry/pkg/config"
	"ferry/pkg/demo"
	"ferry/pkg/text"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// otherCommands maps words of other programs to ferry's commands. It is a function, because a variable would be built
// at every start.
func otherCommands() map[string]string {
	return map[string]string{
		"auth": "ferry config key NODE", "batch": "ferry ask --batch IN.jsonl --out OUT.jsonl",
		"chat": "ferry ask --session NAME", "compare": "ferry bench NODE NODE", "doctor": "ferry config check", "gateway": "ferry config nginx",
		"history": "ferry config session", "login": "ferry config key NODE", "logout": "ferry config unset nodes.NODE.key", "ls": "ferry config nodes",
		"node": "ferry config nodes", "ping": "ferry config check", "ps": "ferry config hold",
		"serve": "ferry demo", "sessions": "ferry config session", "settings": "ferry config list", "status": "ferry config check",
		"test": "ferry config check", "tokens": "ferry config usage",
	}
}

// otherFlags maps flags of other programs to hints, also as a function.
func otherFlags() map[string]string {
	return map[string]string{
		"api-key": keyHint, "json": "-o json prints an object", "key": keyHint, "prompt": "the arguments are the prompt",
		"stream":        "ferry stream prints the answer as it arrives",
		"retry":         "--attempts says how often and --retry-policy when; --retry-delay is the wait after a 429",
		"system-prompt": "--system TEXT is the system prompt", "token": keyHint, "version": "ferry --version prints it",
	}
}

const keyHint = "ferry has no flag for a key, because others could see it; ferry config key NODE stores one"

// commandPaths maps the name of each command and topic to its path. If a name occurs twice, the one in the group c
// wins, and its own commands win over those below them.
func commandPaths(c *cobra.Command) map[string]string {
	found := map[string]string{}
	for _, child := range slices.Concat(c.Commands(), tree(c)[1:], c.Root().Commands(), tree(c.Root())[1:]) {
		path := child.CommandPath()
		switch {
		case child.IsAdditionalHelpTopicCommand():
			path = "ferry help " + child.Name()
		case !child.IsAvailableCommand():
			continue
		}
		for _, name := range append(child.SuggestFor, child.Name()) {
			if found[name] == "" {
				found[name] = path
			}
		}
	}
	return found
}

// unknownCommand returns the error for arguments that name no command of c. Its hint does not offer them as a prompt if
// there is only one word, which may be a misspelled command, or if they begin with a command's name.
func (a *app) unknownCommand(c *cobra.Command, args []string) error {
	full := newRootCmd(a, nil)
	if same, _, err := full.Find(strings.Fields(c.CommandPath())[1:]); err == nil {
		c = same
	}
	word, of, lists := args[0], "", c.CommandPath()+" --help lists the commands"
	if c.HasParent() {
		of = " of " + strings.TrimPrefix(c.CommandPath(), "ferry ")
	}
	said := fmt.Sprintf("there is no command %q%s", word, of)
	known := commandPaths(c)
	meant := otherCommands()[word]
	if own := known[nearest(word, known)]; own != "" && (meant == "" || known[word] != "" && !strings.HasPrefix(own, "ferry help ")) {
		meant = own
	}
	if meant == "ferry config session rm" && c.Name() != "session" { // rm, remove or delete: more likely of a node
		meant = "ferry config unset nodes.NAME"
		if name := strings.TrimPrefix(args[len(args)-1], "nodes."); len(args) == 2 && config.CheckKey("nodes."+name+".url") == nil {
			meant = "ferry config unset nodes." + name
		}
	}
	if word == "help" {
		meant = "ferry help" + strings.TrimPrefix(c.CommandPath(), "ferry")
	}
	top := strings.Count(meant, " ") == 1 // a top-level command
	isPrompt := !c.HasParent() && !top && known[word] == "" && (len(args) > 2 || meant == "" && len(args) > 1 || strings.ContainsAny(word, " \t\n"))
	if isPrompt {
		lists = "ferry ask " + text.ShellWords(args)
	}
	if meant != "" && !isPrompt {
		said += "; did you mean " + meant + "?"
	}
	return usagef(lists, "%s", said)
}

// nearest returns word if it is known, else the most similar known word; "" if none is similar.
func nearest[T any](word string, known map[string]T) string {
	if _, ok := known[word]; ok {
		return word
	}
	return config.TypoOf(word, slices.Sorted(maps.Keys(known)))
}

// flagError adds a suggestion to an error of the flag parser.
func (a *app) flagError(c *cobra.Command, err error) error {
	var checked interface {
		error
		Hint() string
	}
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &checked): // the flag validated its value itself
		return checked
	}
	if err := flagValueError(c, err); err != nil {
		return err
	}
	said, hint := strings.TrimSuffix(err.Error(), "."), c.CommandPath()+" --help lists the flags"
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if before := c.Flags().Args(); isGroup(c) && len(before) > 0 { // the command is unknown, so its flags are too
			if !c.HasParent() {
				before = before[:1] // do not offer a prompt that has lost its flags
			}
			return a.unknownCommand(c, before)
		}
		name, own := unknown.GetSpecifiedName(), map[string]string{}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				own[f.Name] = "--" + f.Name
			}
		})
		dashed, hasPrompt := "--"+name, c.Flags().Lookup("no-stdin") != nil
		if unknown.GetSpecifiedShortnames() != "" {
			dashed = "-" + name
			said = "unknown flag: " + dashed
		}
		near := nearest(name, own)
		other := cmp.Or(flagAdvice(c, name), otherFlags()[name])
		if other == "" && near == "" && (dashed == "--"+name || !hasPrompt) {
			other = a.flagElsewhere(c, dashed)
		}
		switch {
		case other != "":
			hint = other
		case near != "":
			said += "; did you mean --" + near + "?"
		case hasPrompt:
			hint += "; a prompt that begins with a dash goes after --: ferry ask -- -5 in words"
		}
	}
	return usagef(hint, "%s", said)
}

// flagValueError returns the error for a missing value, or for one that the parser rejected; nil for another error.
func flagValueError(c *cobra.Command, err error) error {
	if missing, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		dashed := "--" + missing.GetSpecifiedName()
		if missing.GetSpecifiedShortnames() != "" {
			dashed = "-" + missing.GetSpecifiedName()
		}
		return usagef(c.CommandPath()+" --help lists the flags", "%s needs a value", dashed)
	}
	rejected, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return nil
	}
	use := map[string]string{"bool": "true or false", "int": "a whole number", "int64": "a whole number"}[rejected.GetFlag().Value.Type()]
	if use == "" {
		return nil
	}
	return invalid(rejected.GetFlag().Name, rejected.GetValue(), use)
}

// flagAdvice returns what c has instead of a flag; "" for nothing.
func flagAdvice(c *cobra.Command, name string) string {
	_, args, _ := strings.Cut(strings.ToLower(c.Use), " ")
	if (name == "n" || name == "node") && strings.Contains(args, "node") {
		return "nodes are arguments: " + c.CommandPath() + " NODE"
	}
	if c.CommandPath() == "ferry demo" {
		for _, fault := range demo.Faults() {
			if example, _, _ := strings.Cut(fault.Usage, ":"); fault.Name == name {
				return "faults are part of the address, as in -n " + text.ShellWord("http://"+demoAddress+"?"+example) + "; ferry demo --help lists them"
			}
		}
	}
	f := c.Flags().Lookup("output")
	if f == nil {
		return ""
	}
	if forms, ok := f.Value.(*checkedFlag[string]); ok {
		if _, ok := forms.read(name); ok {
			if c.Flags().Lookup("out") != nil {
				return "use -o " + name + ", and --out FILE for a file"
			}
			return "use -o " + name
		}
	}
	return ""
}

// flagElsewhere names the commands that have a flag; "" for none. If a command of the group has it, that one is named.
func (a *app) flagElsewhere(group *cobra.Command, dashed string) string {
	var have []string
	for _, c := range tree(newRootCmd(a, nil)) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && (dashed == "--"+f.Name || dashed == "-"+f.Shorthand) {
				have = append(have, c.CommandPath())
			}
		})
	}
	below := func(path string) bool { return strings.HasPrefix(path, group.CommandPath()+" ") }
	switch i := slices.IndexFunc(have, below); {
	case len(have) == 0:
		return ""
	case isGroup(group) && i >= 0:
		return "a flag goes after its command: " + have[i] + " " + dashed + " …"
	}
	const maxNamed = 5
	others := ""
	if len(have) > maxNamed {
		have, others = have[:3], " and others"
	}
	return dashed + " is a flag of " + strings.Join(have, ", ") + others
}

// newHelpCmd returns the command for help COMMAND and help TOPIC.
func newHelpCmd() *cobra.Command {
	return &cobra.Command{
		Use: "help [command|topic]", Short: "Show the help of a command or a topic", Hidden: true,
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if on, _, err := c.Root().Find(args); err == nil {
				for _, child := range on.Commands() {
					if child.IsAvailableCommand() || child.IsAdditionalHelpTopicCommand() {
						names = append(names, child.Name()+"\t"+child.Short)
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			on, rest, err := c.Root().Find(args)
			if err == nil && len(rest) == 0 {
				return on.Help()
			}
			said := fmt.Sprintf("there is no command or topic %q", strings.Join(args, " "))
			known := commandPaths(c.Root())
			if path := strings.Fields(known[nearest(args[0], known)]); len(args) > 1 && len(path) > 0 {
				if group, _, err := c.Root().Find(path[1:]); err == nil {
					known = commandPaths(group) // the commands below the group that was meant
				}
			}
			if near := nearest(args[len(args)-1], known); near != "" {
				place := known[near]
				said += "; did you mean ferry help " + strings.TrimPrefix(strings.TrimPrefix(place, "ferry "), "help ") + "?"
			}
			return usagef("ferry --help lists the commands and topics", "%s", said)
		},
	}
}
