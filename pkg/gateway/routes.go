package gateway

import (
	"ferry/pkg/config"
)

// route is what a permission opens: one method on one path, behind the gateway's prefix and behind the node's address.
type route struct{ Permission, Method, Path string }

// dialect groups the APIs that live under one address: the script's complete and messages are both under /v1.
func dialect(u upstream) config.API {
	if u.API == config.Chat {
		return config.Chat
	}
	return config.Messages
}

// routesOf are all routes of a dialect.
func routesOf(d config.API) []route {
	if d == config.Chat {
		return []route{{"chat", "POST", "chat/completions"}, {"models", "GET", "models"}}
	}
	return []route{
		{"messages", "POST", "v1/messages"},
		{"count_tokens", "POST", "v1/messages/count_tokens"},
		{"models", "GET", "v1/models"},
		{"complete", "POST", "v1/complete"},
	}
}

// addRoutes keeps the routes that some role has: the others need not be there.
func (p *plan) addRoutes() *config.Error {
	granted := map[string]bool{}
	for _, role := range p.Roles {
		for _, name := range role.Permissions {
			if !opens(dialect(p.Nodes[0]), name) {
				return p.Fault("roles."+role.Name+"/"+name,
					"the permission "+name+" is for another API than "+p.Nodes[0].Name+" speaks", "")
			}
			granted[name] = true
		}
	}
	for _, r := range routesOf(dialect(p.Nodes[0])) {
		if granted[r.Permission] {
			p.Routes = append(p.Routes, r)
		}
	}
	return nil
}

func opens(d config.API, permission string) bool {
	for _, r := range routesOf(d) {
		if r.Permission == permission {
			return true
		}
	}
	return false
}

// method is the one that a permission allows.
func (p *plan) method(permission string) string {
	for _, r := range p.Routes {
		if r.Permission == permission {
			return r.Method
		}
	}
	return ""
}
