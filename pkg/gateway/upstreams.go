package gateway

import "fmt"

// upstreams are the nodes. One block of nginx has one name, Host and key, so that each node has a block of its own.
func (p *plan) upstreams(t *text) {
	t.say(`# The nodes. nginx looks up their names when it starts or is reloaded: reload it now and then. The connections that
# are kept save a caller the handshakes; they are dropped before the API would drop them.`)
	for _, u := range p.nodes {
		t.say("# node %s", u.Name)
		t.block("upstream "+u.name, func() {
			t.say("server %s;\nkeepalive %d;\nkeepalive_timeout 30s;", u.server, p.Keepalive)
		})
	}
	t.say("\n# The keys are in a file of their own, which only its owner can read.\ninclude %s;", KeysFile)
	if len(p.nodes) > 1 {
		p.choose(t)
	}
}

// choose spreads callers over the nodes by a session's token, or without one by chance.
func (p *plan) choose(t *text) {
	t.say(`
# One session stays on one node, so that what the API keeps of a prompt is found again; requests without one spread.
map $http_x_ferry_session $ferry_session {
    default $http_x_ferry_session;
    "" $request_id;
}`)
	t.block(`split_clients "$ferry_session" $ferry_upstream`, func() {
		share := 10000 / len(p.nodes)
		for _, u := range p.nodes[1:] {
			t.say("%d.%02d%% %s;", share/100, share%100, u.name)
		}
		t.say("* %s;", p.nodes[0].name)
	})
	p.perNode(t, "$ferry_host", func(_ int, u upstream) string { return u.host })
	p.perNode(t, "$ferry_sni", func(_ int, u upstream) string { return u.sni })
	p.perNode(t, "$ferry_base", func(_ int, u upstream) string { return `"` + u.base + `"` })
	for k, h := range p.headers() {
		p.perNode(t, fmt.Sprintf("$ferry_header_%d", k+1), func(i int, u upstream) string {
			for j, own := range u.Headers {
				if sameHeader(own.Name, h.Name) {
					return secretName(i, j)
				}
			}
			return `""`
		})
	}
}

// perNode is a map from the node that was chosen to one value of its own.
func (p *plan) perNode(t *text, name string, value func(int, upstream) string) {
	t.block("map $ferry_upstream "+name, func() {
		for i, u := range p.nodes {
			t.say("%s %s;", u.name, value(i, u))
		}
	})
}
