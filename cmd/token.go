package cmd

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"ferry/pkg/config"
	"ferry/pkg/gateway"

	"github.com/spf13/cobra"
)

func newConfigTokenCmd(a *app) *cobra.Command {
	return a.group("token", "Create, list and revoke the API tokens of a gateway's callers",
		newTokenNewCmd(a), newTokenListCmd(a), newTokenRevokeCmd(a),
	)
}

func newTokenNewCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "new ROLE",
		Short:             "Create a token; it is shown only once",
		Args:              requireArgs("a role of the section gateway:", 1),
		ValidArgsFunction: completeArgs(1, namesOf(a.gateway, (*gatewayFile).roles)),
		RunE:              withLoaded(a.gateway, runTokenNew),
	}
}

// reloadCommand makes nginx read the changed tokens.
const reloadCommand = "nginx -s reload"

func runTokenNew(ctx context.Context, g *gatewayFile, args []string) error {
	names, role := g.roles(), args[0]
	if !slices.Contains(names, role) {
		hint := "the roles are " + strings.Join(names, ", ")
		if len(names) == 0 {
			hint = "ferry config set gateway.roles.NAME messages,models makes one"
		}
		return usagef(hint, "the gateway has no role %q", role)
	}
	if g.closed != nil {
		return g.closed
	}
	ctx, stop := g.Catch(ctx)
	defer stop()
	token, secret, err := g.tokens().New(ctx, role, g.Clock.Now())
	if err != nil {
		return err
	}
	if err := g.write([]byte(secret + "\n")); err != nil {
		return errors.Join(err, g.tokens().Revoke(context.WithoutCancel(ctx), token.Name)) // the user could not see it
	}
	g.note("this is token %s, for role %s; it is not shown again", token.Name, token.Role)
	g.note("nginx accepts it after a reload: " + reloadCommand)
	return nil
}

// roles returns the names of the gateway's roles.
func (g *gatewayFile) roles() []string {
	return mapSlice(g.section.Roles, func(role config.Role) string { return role.Name })
}

func newTokenListCmd(a *app) *cobra.Command {
	list := func(g *gatewayFile, form string) error {
		tokens, err := g.tokens().List()
		if err != nil {
			return err
		}
		all := mapSlice(tokens, func(t gateway.Token) tokenJSON {
			return tokenJSON{t.Name, t.Role, t.Created, !slices.Contains(g.roles(), t.Role)}
		})
		return listing[tokenJSON]{
			name: "tokens", none: "there are no tokens; ferry config token new ROLE creates one",
			heading: []string{"token", "role", "created", ""}, keep: 2, row: a.tokenRow,
		}.show(a, form, all)
	}
	return listCmd("list", "List tokens by public name, with role and date", a.gateway, list)
}

// tokenJSON is a token as -o json prints it, without its secret. Fields are only ever added.
type tokenJSON struct {
	Token   string    `json:"token"`
	Role    string    `json:"role"`
	Created time.Time `json:"created"`
	Refused bool      `json:"refused"` // the gateway has no such role
}

func (a *app) tokenRow(t tokenJSON) []string {
	remark := ""
	if t.Refused {
		remark = "the gateway has no such role: refused"
	}
	return []string{t.Token, t.Role, a.moment(t.Created), remark}
}

func newTokenRevokeCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "revoke TOKEN…",
		Short:             "Revoke tokens by public name; all of them or none",
		Args:              requireAtLeastOne("the names of tokens", "ferry config token list"),
		ValidArgsFunction: completeArgs(math.MaxInt, namesOf(a.gateway, (*gatewayFile).tokenNames)),
		RunE: withLoaded(a.gateway, func(ctx context.Context, g *gatewayFile, names []string) error {
			ctx, stop := a.Catch(ctx)
			defer stop()
			if err := g.tokens().Revoke(ctx, names...); err != nil {
				return err
			}
			a.note("revoked %s", strings.Join(names, ", "))
			refused := "it"
			if len(names) > 1 {
				refused = "them"
			}
			a.note("nginx refuses %s after a reload: %s", refused, reloadCommand)
			return nil
		}),
	}
}

// tokenNames returns the public names of the tokens, for completion.
func (g *gatewayFile) tokenNames() []string {
	tokens, _ := g.tokens().List()
	return mapSlice(tokens, func(t gateway.Token) string { return t.Name })
}
