package gateway

import (
	"ferry/pkg/config"
	"ferry/pkg/wire"
)

// route is what a permission opens: one method on one path, behind the gateway's prefix and behind the node's address.
type route struct{ Permission, Method, Path string }

// routesOf are all routes under the address of an API: those of each API that lists its models there too, as the
// script's complete does beside messages.
func routesOf(api wire.API) []route {
	models := api.Dialect().Facts().ModelsPath
	var routes []route
	for _, other := range wire.APIs() {
		d := other.Dialect()
		if d.Facts().ModelsPath != models {
			continue
		}
		isFirst := len(routes) == 0
		routes = append(routes, route{string(other), "POST", d.Path()[1:]})
		if other == wire.Messages {
			routes = append(routes, route{"count_tokens", "POST", d.Path()[1:] + "/count_tokens"})
		}
		if isFirst {
			routes = append(routes, route{"models", "GET", models[1:]})
		}
	}
	return routes
}

// addRoutes keeps the routes that some role has: the others need not be there.
func (p *plan) addRoutes() *config.Error {
	granted := map[string]bool{}
	for _, role := range p.Roles {
		for _, name := range role.Permissions {
			if !opens(p.Nodes[0].API, name) {
				return p.Fault("roles."+role.Name+"/"+name,
					"the permission "+name+" is for another API than "+p.Nodes[0].Name+" speaks", "")
			}
			granted[name] = true
		}
	}
	for _, r := range routesOf(p.Nodes[0].API) {
		if granted[r.Permission] {
			p.Routes = append(p.Routes, r)
		}
	}
	return nil
}

func opens(api wire.API, permission string) bool {
	for _, r := range routesOf(api) {
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
