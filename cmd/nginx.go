package cmd

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ferry/pkg/config"
	"ferry/pkg/gateway"
	"ferry/pkg/text"

	"github.com/spf13/cobra"
)

func newConfigNginxCmd(a *app) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "nginx",
		Short: "Write the complete nginx configuration of a reverse proxy for the nodes",
		Args:  noArgs,
		RunE:  withLoaded(a.gateway, func(ctx context.Context, g *gatewayFile, _ []string) error { return runConfigNginx(ctx, g, out) }),
	}
	c.Flags().StringVar(&out, "out", "", "write nginx.conf and keys.conf to `DIR`")
	_ = c.MarkFlagDirname("out")
	return c
}

func runConfigNginx(ctx context.Context, g *gatewayFile, out string) error {
	if err := g.checkNginx(ctx); err != nil {
		return err
	}
	var nodes []gateway.Node
	for _, name := range g.section.Upstream {
		node, err := g.node(ctx, name, out == "")
		if err != nil {
			return err
		}
		nodes = append(nodes, node)
	}
	files, err := gateway.Generate(g.section, nodes)
	if err != nil {
		return err
	}
	if out == "" {
		g.note("this is the part without keys; --out DIR also writes the keys, to %s", gateway.KeysFile)
		return g.write(files.Main)
	}
	if out, err = filepath.Abs(out); err != nil {
		return usagef("", "--out: %s", bareError(err))
	}
	ctx, stop := g.Catch(ctx)
	defer stop()
	created, err := files.Write(ctx, out, g.tokens())
	if created {
		g.note("made the folder %s", out)
	}
	if err != nil {
		return err
	}
	written := filepath.ToSlash(filepath.Join(out, gateway.MainFile)) // nginx wants slashes on Windows too
	g.note("wrote %s and %s", written, gateway.KeysFile)
	g.note("nginx uses it after a reload: nginx -t -c %[1]s && nginx -s reload -c %[1]s", text.CommandWord(written))
	return nil
}

// checkNginx checks the version of the local nginx if the gateway uses HTTP/3. Without a local nginx, the generated
// file says what it needs.
func (g *gatewayFile) checkNginx(ctx context.Context) error {
	if !g.section.HTTP3 {
		return nil
	}
	path, err := config.FindProgram("nginx", g.Lookup)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, path, "-v")
	command.WaitDelay = time.Second
	said, err := command.CombinedOutput()
	_, version, _ := strings.Cut(string(said), "nginx/")
	var major, minor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil || n < 2 {
		g.note("%s -v prints no version; HTTP/3 needs nginx 1.25 or later", path)
		return nil
	}
	if major > 1 || minor >= 25 {
		return nil
	}
	return g.section.Fault("http3", fmt.Sprintf("needs nginx 1.25 or later, and %s is %d.%d", path, major, minor),
		"Debian 13 has 1.26; or ferry config set gateway.http3 false")
}

// gatewayFile is the section gateway: of the file, with the settings of its nodes.
type gatewayFile struct {
	*settings
	section *config.Gateway
}

func (g *gatewayFile) tokens() gateway.Store { return gateway.Store{Path: g.section.Tokens} }

// gateway reads the section gateway: of the file.
func (a *app) gateway() (*gatewayFile, error) {
	s, err := a.fileSettings()
	if err != nil {
		return nil, err
	}
	section, err := s.file.Gateway(a.Lookup)
	if err == nil && section == nil {
		err = usagef("ferry config set gateway.server_name ai.example.com begins one", "the configuration has no gateway")
	}
	return &gatewayFile{s, section}, err
}

// node returns a node as the gateway uses it, with its key unless unread is set.
func (g *gatewayFile) node(ctx context.Context, name string, unread bool) (gateway.Node, error) {
	fault := func(msg string, err error) error {
		return g.section.FaultOf(err, "upstream/"+name, msg, text.Hint(err))
	}
	node, err := g.values.Select(name, g.api)
	if err != nil {
		return gateway.Node{}, fault("names no node that can be used", err)
	}
	known, err := g.identify(ctx, node, unread)
	if err != nil {
		return gateway.Node{}, fault("names a node that is not complete", err)
	}
	if len(node.Pins) > 0 {
		g.note("nginx does not check the pins of node %s", node.Name)
	}
	n, err := gateway.NewNode(g.section, node)
	if err != nil {
		return n, err
	}
	if known.Auth != "" {
		value := known.Key.Reveal()
		if strings.EqualFold(known.Auth, "authorization") {
			value = "Bearer " + value
		}
		n.Headers = append(n.Headers, gateway.Header{Name: known.Auth, Value: value})
	}
	for _, h := range known.Header {
		n.Headers = append(n.Headers, gateway.Header{Name: h.Name, Value: h.Value + h.Secret.Reveal()})
	}
	return n, nil
}
