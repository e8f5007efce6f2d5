package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/state"
	"ferry/pkg/text"
	"ferry/pkg/wire"

	"github.com/spf13/cobra"
)

type modelsOptions struct {
	node    nodeOptions
	output  string
	timeout time.Duration
}

func newConfigModelsCmd(a *app) *cobra.Command {
	var o modelsOptions
	load := func() (*settings, error) { return a.settings(o.node) }
	c := &cobra.Command{
		Use:               "models [node]",
		Short:             "List the models of a node; free of charge",
		Args:              atMostOne("node"),
		ValidArgsFunction: a.completeNodes,
		RunE: withLoaded(load, func(ctx context.Context, s *settings, args []string) error {
			return runConfigModels(ctx, s, append(args, s.values.Nodes...)[0], o)
		}),
	}
	formatFlag(c, &o.output)
	c.Flags().StringVar(&o.node.api, "api", "", "`API` of a node given as a URL: "+wire.APINames)
	durationFlag(c.Flags(), &o.timeout, "timeout", "", 30*time.Second, time.Second, maxDuration,
		"time limit for the list", "1s to 24h")
	return c
}

// modelsOut is what config models prints as JSON.
type modelsOut struct {
	Schema int      `json:"schema"`
	Node   string   `json:"node"`
	Models []string `json:"models"`
	// Complete reports that the node has no other models.
	Complete bool `json:"complete"`
}

func runConfigModels(ctx context.Context, s *settings, name string, o modelsOptions) error {
	if s.closed != nil {
		return s.closed
	}
	node, err := s.values.Select(name, s.api)
	if err != nil {
		return err
	}
	if node.API == wire.Complete {
		return usagef("-m MODEL still selects one", "%s: api complete has no list of models", node.Name)
	}
	probe, err := s.probeModels(ctx, node, o.timeout)
	switch {
	case err != nil:
		return err
	case probe.Models < 0:
		return failedf("ferry config check "+node.Name+" runs each step and reports which one fails",
			"%s: the answer is not a list of models", node.Name)
	}
	ids := probe.ModelIDs
	complete := !probe.More && len(ids) == probe.Models
	if o.output == "json" {
		err = s.printJSON(modelsOut{1, node.Name, append([]string{}, ids...), complete})
	} else {
		var lines strings.Builder
		for _, id := range ids {
			lines.WriteString(text.Line(s.masker.String(id)) + "\n")
		}
		err = s.write([]byte(lines.String()))
	}
	if err != nil {
		return err
	}
	if !complete {
		s.note("the list of %s is longer: %d models are shown", node.Name, len(ids))
	}
	if err := s.storeModels(node, ids); err != nil {
		s.note("the list is not saved for -m: %s", err)
	}
	return nil
}

// probeModels requests the models of a node.
func (s *settings) probeModels(ctx context.Context, node config.Node, timeout time.Duration) (*client.Probe, error) {
	e, err := s.newEndpoint(ctx, node, endpointOptions{listOnly: true})
	if err != nil {
		return nil, err
	}
	defer e.close()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, &client.DeadlineError{Timeout: timeout})
	defer cancel()
	env, call := s.clientEnv(), client.Call{Timeout: timeout, Deadline: s.Clock.Now().Add(timeout)}
	return env.Probe(ctx, call.To(&e.Endpoint))
}

// modelList is the stored model list of a node.
type modelList struct {
	Schema int       `json:"schema"`
	Seen   time.Time `json:"seen"`
	Models []string  `json:"models"`
}

const (
	// maxModelList is the maximum size of such a file in bytes.
	maxModelList = 4 << 20
	// maxListed is the maximum number of models in it.
	maxListed = 4096
	// maxListAge is the maximum age of a list that noteUnlistedModel uses.
	maxListAge = 7 * 24 * time.Hour
)

// modelsDir returns the directory of the lists.
func (e Env) modelsDir() (string, error) {
	dir, err := e.stateDir()
	return filepath.Join(dir, "models"), err
}

const modelListSuffix = ".json"

// isModelList reports whether a file name belongs to a model list.
func isModelList(name string) bool {
	hash, ok := strings.CutSuffix(name, modelListSuffix)
	digest, err := hex.DecodeString(hash)
	return ok && err == nil && len(digest) == 16
}

// modelsPath returns the file of a node's list. Its name is a hash, because the address may contain a secret.
func (e Env) modelsPath(node config.Node) (string, error) {
	dir, err := e.modelsDir()
	sum := sha256.Sum256([]byte("ferry models 1\n" + string(node.API) + "\n" + node.URL))
	return filepath.Join(dir, hex.EncodeToString(sum[:16])+modelListSuffix), err
}

// storeModels stores a node's list.
func (s *settings) storeModels(node config.Node, ids []string) error {
	path, err := s.modelsPath(node)
	if err != nil || s.noStore {
		return err
	}
	kept := append([]string{}, mapSlice(ids[:min(len(ids), maxListed)], s.masker.String)...)
	data, _ := json.Marshal(modelList{1, s.Clock.Now().UTC().Truncate(time.Second), kept}) // encoding it cannot fail
	if err := state.MkdirPrivate(filepath.Dir(path)); err != nil {
		return err
	}
	return state.WriteFile(path, append(data, '\n'), 0o600)
}

// storedModels reads a node's stored list. It is empty if there is none.
func (e Env) storedModels(node config.Node) (list modelList) {
	path, err := e.modelsPath(node)
	if err != nil {
		return list
	}
	data, err := state.ReadPrivate(path, maxModelList)
	if err != nil || json.Unmarshal(data, &list) != nil {
		return modelList{}
	}
	return list
}

// nearModel returns the model nearest to name if a node's list, stored since then, does not have name; else "".
func (e Env) nearModel(node config.Node, name string, since time.Time) string {
	list := e.storedModels(node)
	if name == "" || list.Seen.Before(since) {
		return ""
	}
	_, near := client.FindModel(list.Models, name)
	if !completable(near) {
		return ""
	}
	return near
}

// noteUnlistedModel notes that a model given by -m may be mistyped. The call continues, because a server may accept
// models that it does not list.
func (s *settings) noteUnlistedModel(node config.Node, name string) {
	if _, alias := node.Aliases[name]; alias {
		return
	}
	if near := s.nearModel(node, name, s.Clock.Now().Add(-maxListAge)); near != "" {
		s.note("%s does not list %s; did you mean %s?", node.Name, name, near)
	}
}

// completable reports whether a shell can complete an id: no character of it is special to a shell.
func completable(id string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@+"
	return id != "" && id[0] != '-' && strings.Trim(id, plain) == ""
}

// completeModels offers a shell the stored models of the nodes in the flags, or in the arguments of bench, and the
// aliases of the file. It sends no request.
func (a *app) completeModels(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	value := func(flag string) string {
		if f := c.Flags().Lookup(flag); f != nil && f.Changed {
			return f.Value.String()
		}
		return ""
	}
	nodes := nodeOptions{api: value("api"), given: map[string]string{}}
	if given := strings.Split(value("node"), "\n"); given[0] != "" { // Cobra reads the flags twice
		slices.Sort(given)
		nodes.given["node"] = strings.Join(slices.Compact(given), "\n")
	}
	s, err := a.settings(nodes)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := s.values.Nodes
	if c.Name() == "bench" && len(args) > 0 {
		names = args
	}
	var ids []string
	for _, name := range names {
		if node, err := s.values.Select(name, s.api); err == nil {
			ids = append(ids, s.storedModels(node).Models...)
			ids = slices.AppendSeq(ids, maps.Keys(node.Aliases))
		}
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return !completable(id) })
	slices.Sort(ids)
	return slices.Compact(ids), cobra.ShellCompDirectiveNoFileComp
}
