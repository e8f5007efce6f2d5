package client

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"ferry/pkg/retry"
	"ferry/pkg/wire"
)

// Hint tells what to do about it, and that nothing was sent where that is so; "" where there is nothing to say.
func (e *Error) Hint() string {
	const unsent = "nothing was sent"
	hint := e.advice()
	switch {
	case !e.Unsent || strings.Contains(hint, unsent):
		return hint
	case hint == "":
		return unsent
	}
	return hint + "; " + unsent
}

// advice is what to do about it.
func (e *Error) advice() string {
	var hinted interface{ Hint() string }
	if errors.As(e.Err, &hinted) {
		return hinted.Hint()
	}
	var apiErr *wire.APIError
	switch {
	case errors.As(e.Err, &apiErr) && apiErr.SpendCap():
		return "the account of this key is used up or at its limit: no retry lifts that; -n a,b asks another node then"
	case e.param != "":
		return e.param
	case e.Class == Usage:
		return "leave the system prompt out, or ask a node that speaks messages or chat"
	case e.Proxy != "" && (e.Status == 403 || e.Status >= 502 && e.Status <= 504):
		return "the answer may be that of the proxy, " + e.Proxy + "; --proxy none does without one"
	case (e.Status == 401 || e.Status == 403 || e.Status == 404) && e.KeySource == "the demo node":
		return "the demo node was asked for that"
	case e.Status == 401 || e.Status == 403:
		return e.keyAdvice()
	case apiErr != nil && apiErr.UnknownModel():
		return e.modelAdvice()
	case e.Status == http.StatusNotFound && e.URL != nil:
		return fmt.Sprintf("is the path right? it comes from %s and from api %s; %s", e.addressSetting(), e.API, e.pathAdvice())
	case e.Class == DNS || e.Class == Connect || e.Class == Reset || e.Class == Timeout:
		return e.wayAdvice()
	case e.Status == 429 && e.Policy == retry.Script && e.GaveUp:
		return "--attempts allows more, --retry-policy retry-after waits as the server asks"
	case e.Status == 500 || e.Status == 529:
		if e.Policy == retry.Script {
			return "--retry-policy retry-after tries again on every 5xx"
		}
	}
	return ""
}

// pathAdvice is what to try in place of a path that is not there: with /v1 where the chat API of most servers has it.
func (e *Error) pathAdvice() string {
	facts := e.API.Dialect().Facts()
	base := url.URL{Scheme: e.URL.Scheme, Host: e.URL.Host,
		Path: strings.TrimSuffix(strings.TrimSuffix(e.URL.Path, facts.Path), facts.ModelsPath)}
	if e.API != wire.Chat || e.Provider && e.Variable == "" || hasVersion(base.Path) {
		return "another api has another path"
	}
	base.Path += "/v1"
	switch {
	case e.isURL():
		return "try -n " + base.String()
	case e.Variable != "":
		return "try export " + e.Variable + "=" + base.String()
	}
	return "try ferry config set " + e.addressSetting() + " " + base.String()
}

// keyAdvice is what to do where a key was refused.
func (e *Error) keyAdvice() string {
	advice, another := "this node was asked without a key", "one"
	if e.KeySource != "" {
		advice, another = "the key came from "+e.KeySource, "another"
	}
	if e.Node == "" || e.isURL() || e.Provider { // for which no key is stored
		return advice
	}
	return advice + "; ferry config key " + e.Node + " stores " + another
}

// modelAdvice is what to do where the server does not have the model.
func (e *Error) modelAdvice() string {
	advice := "-m MODEL asks for another model"
	if e.nearModel != nil {
		if near := e.nearModel(e.model); near != "" {
			advice = "did you mean -m " + near + "?"
		}
	}
	if e.API == wire.Complete {
		return advice
	}
	return advice + "; ferry config models " + e.Node + " lists what there is"
}

// wayAdvice is what to do where no answer came.
func (e *Error) wayAdvice() string {
	var dns *net.DNSError
	if errors.As(e.Err, &dns) && dns.IsNotFound {
		return "is the host right? it comes from " + e.addressSetting()
	}
	var advice []string
	if e.Class == Connect && e.URL != nil {
		if at, err := netip.ParseAddr(e.URL.Hostname()); e.URL.Hostname() == "localhost" || err == nil && at.IsLoopback() {
			advice = append(advice, "is the server running?")
		}
	}
	if e.Policy == retry.Script {
		advice = append(advice, "--retry-policy retry-after tries again when no answer comes")
	}
	return strings.Join(advice, " ")
}

// addressSetting names where the node's address comes from.
func (e *Error) addressSetting() string {
	switch {
	case e.isURL():
		return "the URL"
	case e.Variable != "":
		return e.Variable
	case e.Provider:
		return "what ferry knows of " + e.Node
	}
	return "nodes." + e.Node + ".url"
}

func (e *Error) isURL() bool { return strings.Contains(e.Node, "://") }
