package config

import (
	"strconv"
	"strings"

	"ferry/pkg/guard"
	"ferry/pkg/wire"
)

func setAPI(n *Node, s string) *Error {
	api, err := parseAPI(s)
	if err == nil {
		n.API = api
	}
	return err
}

func parseAPI(s string) (wire.API, *Error) {
	var names []string
	for _, api := range wire.APIs() {
		if s == string(api) {
			return api, nil
		}
		names = append(names, string(api))
	}
	return "", bad(meant("use one of "+strings.Join(names, ", "), s, names), "")
}

func setKey(n *Node, s string) *Error {
	ref, err := parseRef(s)
	if err == nil {
		n.Key = ref
	}
	return err
}

func setAuth(n *Node, s string) *Error {
	switch s {
	case AuthXAPIKey, AuthBearer, AuthNone:
		n.Auth = Auth{Scheme: s}
		return nil
	}
	name, ok := strings.CutPrefix(s, "header:")
	if !ok {
		return bad("use x-api-key, bearer, header:NAME or none", "")
	}
	if err := checkHeaderName(name); err != nil {
		return err
	}
	n.Auth = Auth{AuthHeader, name}
	return nil
}

// checkNodeProxy: an empty proxy in a node would say neither "none" nor "as elsewhere".
func checkNodeProxy(s string) *Error {
	if s == "" {
		return bad("has no value", "say none, or leave the key out")
	}
	return checkProxy(s)
}

func checkVersion(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '-' && s[i] != '.' || len(s) > 40 {
			return bad(`use a version such as "2023-06-01"`, "")
		}
	}
	return nil
}

// checkAlias wants a word for the alias and a model's name for what it stands for.
func checkAlias(name, model string) *Error {
	if !isWord(name) {
		return bad("use an alias that is a word", "")
	}
	if model == "" {
		return bad("has no value", "")
	}
	return checkModel(model)
}

func setMaxTokens(n *Node, s string) *Error {
	if err := checkTokens(s); err != nil {
		return err
	}
	n.MaxTokens, _ = strconv.Atoi(s) // checked above
	return nil
}

func showMaxTokens(n Node) string {
	if n.MaxTokens == 0 {
		return ""
	}
	return itoa(n.MaxTokens)
}

// addPins takes one pin, or several with commas between them.
func addPins(n *Node, s string) *Error {
	for _, text := range splitCommas(s) {
		pin, err := guard.ParsePin(text)
		if err != nil {
			return bad(err.Error(), "ferry config pin NODE shows the pins of a node's chain, ready to paste")
		}
		n.Pins = append(n.Pins, pin)
	}
	return nil
}

// checkHeaderName wants a token (RFC 9110 section 5.6.2) and refuses the headers that are not the user's to set.
func checkHeaderName(name string) *Error {
	if !isToken(name) {
		return bad("use a header's name: letters, digits and -", "")
	}
	switch strings.ToLower(name) {
	case "host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer",
		"upgrade", "expect":
		return bad("this header frames the request, and is ferry's to set", "")
	case "content-type", "content-encoding", "accept-encoding":
		return bad("this header describes the body, and is ferry's to set", "")
	case "anthropic-version":
		return bad("this header is set by version:", "")
	case "idempotency-key", "x-idempotency-key":
		return bad("this header is refused: a library or gateway may send a request that carries it again, "+
			"past the attempts counted here", "")
	}
	return nil
}

func isToken(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(s[i])) {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// parseHeader reads one entry of headers. A literal is public, so it is refused where the header's name says secret.
func parseHeader(name, value string) (Header, *Error) {
	if err := checkHeaderName(name); err != nil {
		return Header{}, err
	}
	if isRef(value) {
		ref, err := parseRef(value)
		return Header{Name: name, Ref: ref}, err
	}
	switch lower := strings.ToLower(name); lower {
	case "authorization", "proxy-authorization", "x-api-key", "api-key", "cookie":
		return Header{}, bad("a literal key is refused, and not shown", refHint)
	default:
		if isCredentialName(lower) {
			return Header{}, bad("a literal key is refused, and not shown", refHint)
		}
	}
	if err := checkText(value); err != nil {
		return Header{}, err
	}
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return Header{}, bad("use visible ASCII", "")
		}
	}
	return Header{Name: name, Value: strings.TrimSpace(value)}, nil
}

// checkWhole is for what no single field shows.
func (n *Node) checkWhole() (string, *Error) {
	switch {
	case n.URL == "":
		return "url", bad("is required", "")
	case n.Auth.Scheme == AuthNone && !n.Key.IsZero():
		return "key", bad("auth is none, so this key would never be sent", "remove one of the two")
	case (n.TLS.Cert == "") != (n.TLS.Key == ""):
		return "tls", bad("use cert and key together", "")
	case len(n.Pins) > 0 && !strings.HasPrefix(n.URL, "https://"):
		return "pins", bad("this node is not reached over TLS, so nothing would be held to these pins", "make its url https://, or remove the pins")
	}
	whole := *n
	whole.fill()
	for _, h := range n.Headers {
		if strings.EqualFold(h.Name, whole.Auth.HeaderName()) {
			return "headers." + h.Name, bad("auth sets this header already", "use auth: none to set it here")
		}
	}
	return "", nil
}
