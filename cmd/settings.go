package cmd

import (
	"cmp"
	"runtime"
	"slices"
	"sync"

	"ferry/pkg/config"
	"ferry/pkg/guard"
	"ferry/pkg/limit"

	"github.com/spf13/pflag"
)

// nodeOptions are the flags that say how to reach a node. They have the same meaning in every command.
type nodeOptions struct {
	api     string
	noStore bool
	// budgetUnchecked sends even if the use of a budget cannot be recorded.
	budgetUnchecked bool
	// resolve has the addresses of hosts, each as HOST:PORT:ADDRESS[,ADDRESS].
	resolve []string
	// role is the name of a system prompt of the file.
	role string
	// given has the settings that were given as flags, by their keys.
	given map[string]string
}

// settings are the file and the effective values of this run. Endpoints are built from them.
type settings struct {
	*app
	nodeOptions
	file   *config.File
	values *config.Values
	// systems has the system prompts that were read, by the names of their files.
	systems map[string]string
	// limiters has the rate limiters in use, by address, rate and burst.
	limiters                    map[string]*limit.Bucket
	limitWarning, budgetWarning sync.Once
}

// shorthands are the one-letter flags of settings.
var shorthands = map[string]string{"node": "n", "model": "m", "output": "o", "system": "s"}

// argumentNames names the arguments of flags in help.
var argumentNames = map[string]string{
	"node": "NODE", "model": "MODEL", "max_tokens": "N", "retry.policy": "POLICY", "retry.attempts": "N",
	"retry.delay": "DURATION", "timeout": "DURATION", "connect_timeout": "DURATION", "idle_timeout": "DURATION",
	"proxy": "URL", "output": "FORMAT", "render": "on|off",
	"http3": "true|false|only", "pick": "order|fastest", "limit": "RATE", "hold": "DURATION", "failover.across": "bool",
	"system": "TEXT",
}

// addSettingFlags declares flags for settings by their keys. Names, defaults and help texts come from config.
func addSettingFlags(f *pflag.FlagSet, o *nodeOptions, keys ...string) {
	if o.given == nil {
		o.given = map[string]string{}
	}
	for _, s := range config.Settings() {
		if slices.Contains(keys, s.Key) {
			f.VarP(&settingFlag{s, o.given}, s.Flag, shorthands[s.Key], s.Usage)
		}
	}
}

// settingFlag stores a setting's value as it was typed; config parses it.
type settingFlag struct {
	config.Setting
	given map[string]string
}

func (s *settingFlag) String() string { return cmp.Or(s.given[s.Key], s.Default) }
func (s *settingFlag) Type() string   { return argumentNames[s.Key] }

// Set stores a value. If a flag is given twice, both values are kept as a list; for --system only the last one is kept.
func (s *settingFlag) Set(value string) error {
	if earlier, twice := s.given[s.Key]; twice && s.Key == "node" { // a value may contain a comma
		value = earlier + "\n" + value
	} else if twice && s.Key != "system" {
		value = earlier + "," + value
	}
	s.given[s.Key] = value
	return nil
}

func addStoreFlags(f *pflag.FlagSet, o *nodeOptions) {
	f.BoolVar(&o.noStore, "no-store", false, "write no files on this machine")
	f.BoolVar(&o.budgetUnchecked, "budget-unchecked", false, "send even if the budget's use cannot be recorded")
}

// nodeNames lists the nodes that can be named: nodes of the file, built-in nodes, and providers whose variable is set.
func (a *app) nodeNames(file *config.File) []string {
	names := file.Names()
	for _, name := range config.ReadyProviders(a.Lookup) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (e Env) loadFile() (*config.File, error) {
	path, err := config.Path(runtime.GOOS, e.Lookup)
	if err != nil {
		path = "" // no HOME: there can be no file, and everything else works
	}
	return config.Load(path)
}

// settings reads the file and resolves the effective values.
func (a *app) settings(o nodeOptions) (*settings, error) {
	for _, variable := range [][2]string{{"FERRY_STDIN", "never"}, {"FERRY_STDOUT", "discard"}} {
		if value := a.Lookup.Get(variable[0]); value != "" && value != variable[1] {
			return nil, invalidValue(variable[0], value, variable[1])
		}
	}
	file, err := a.loadFile()
	if err != nil {
		return nil, err
	}
	if o.role != "" {
		if o.given["system"], err = file.Role(o.role, a.Lookup); err != nil {
			return nil, err
		}
	}
	values, err := config.Resolve(file, a.Lookup, o.given)
	if err != nil {
		return nil, err
	}
	if patterns := values.Redact; len(patterns) > 0 {
		if a.redactor, err = guard.NewRedactor(patterns); err != nil {
			return nil, err
		}
	}
	return &settings{app: a, nodeOptions: o, file: file, values: values, limiters: map[string]*limit.Bucket{}}, nil
}
