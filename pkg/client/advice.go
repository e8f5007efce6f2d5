package client

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"ferry/pkg/guard"
	"ferry/pkg/retry"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// Hint returns advice for the user, and says so if nothing was sent. It returns "" if there is nothing to say.
func (e *Error) Hint() string {
	const unsent = "nothing was sent"
	hint := e.hint
	var hinted interface{ Hint() string }
	if errors.As(e.Err, &hinted) {
		hint = hinted.Hint()
	}
	switch {
	case !e.Unsent || strings.Contains(hint, unsent):
		return hint
	case hint == "":
		return unsent
	}
	return hint + "; " + unsent
}

// advice returns advice for a failure of the call.
func (c *Call) advice(e *Error) string {
	at := c.Endpoint
	apiErr, isAPIError := errors.AsType[*wire.APIError](e.Err)
	param := ""
	if isAPIError {
		param = apiErr.ParamHint(c.prepared.Body)
	}
	switch {
	case isAPIError && apiErr.SpendCap():
		return "the account of this key is used up or at its limit: a retry does not help; -n a,b tries another node then"
	case param != "":
		return param
	case at.Proxy != "" && (e.Status == 403 || e.Status >= 502 && e.Status <= 504):
		return "the answer may come from the proxy, " + at.Proxy + "; --proxy none uses no proxy"
	case (e.Status == 401 || e.Status == 403 || e.Status == 404) && at.Key.Source() == "the demo node":
		return "the query of the demo node asks for this error"
	case e.Status == 401 || e.Status == 403:
		return at.keyAdvice()
	case isAPIError && apiErr.UnknownModel():
		return at.modelAdvice(c.Request.Model)
	case e.Status == http.StatusNotFound:
		return fmt.Sprintf("is the path right? it comes from %s and from api %s; %s", at.addressSetting(), at.API, c.pathAdvice())
	case e.Class == DNS || e.Class == Connect || e.Class == Reset || e.Class == Timeout:
		return c.connectAdvice(e)
	case !c.policyHelps():
		return ""
	case e.Status == 429 && e.GaveUp:
		return "--attempts allows more, --retry-policy retry-after waits as the server asks"
	case e.Status == 500 || e.Status == 529:
		return "--retry-policy retry-after retries on every 5xx"
	}
	return ""
}

// pathAdvice returns what to try instead of a path that does not exist: the path with /v1, which the chat API of most
// servers has.
func (c *Call) pathAdvice() string {
	at, asked, facts := c.Endpoint, c.prepared.URL, c.Endpoint.API.Dialect().Facts()
	base := url.URL{Scheme: asked.Scheme, Host: asked.Host,
		Path: strings.TrimSuffix(strings.TrimSuffix(asked.Path, facts.Path), facts.ModelsPath)}
	if at.API != wire.Chat || at.Provider && at.Variable == "" || hasVersion(base.Path) || asked.RawQuery != "" {
		return "another api has another path"
	}
	base.Path += "/v1"
	switch {
	case at.isURL():
		return "try -n " + base.String()
	case at.Variable != "":
		return "try " + text.SetVariable(at.Variable, base.String())
	}
	return "try ferry config set " + at.addressSetting() + " " + base.String()
}

// keyAdvice returns advice for a refused key.
func (e *Endpoint) keyAdvice() string {
	advice, another := "the request had no key", "one"
	if source := e.Key.Source(); source != "" {
		advice, another = "the key came from "+source, "another"
	}
	switch {
	case e.isURL() && e.Key.Source() == "":
		return advice + "; " + text.SetVariable("FERRY_KEY", "…") + " gives one to a node that is a URL"
	case e.Name == "" || e.isURL() || e.Provider: // no key can be stored for these
		return advice
	}
	return advice + "; ferry config key " + e.Name + " stores " + another
}

// modelAdvice returns advice for a model that the server does not have.
func (e *Endpoint) modelAdvice(model string) string {
	advice, separator := "-m MODEL selects another model", "; "
	if e.NearModel != nil {
		if near := e.NearModel(model); near != "" {
			advice, separator = "did you mean -m "+near+"?", " "
		}
	}
	if e.API == wire.Complete {
		return advice
	}
	list := "ferry config models "
	if e.isURL() && e.API != wire.Messages {
		list += "--api " + string(e.API) + " "
	}
	return advice + separator + list + e.Name + " lists the models"
}

// policyHelps reports whether another policy would retry. No policy retries after part of a stream has been printed.
func (c *Call) policyHelps() bool {
	return c.Endpoint.Rule.Policy == retry.Script && (c.Sink == nil || !c.Sink.Shown())
}

// connectAdvice returns advice for a call without any answer.
func (c *Call) connectAdvice(e *Error) string {
	if dns, ok := errors.AsType[*net.DNSError](e.Err); ok && dns.IsNotFound {
		return "is the host right? it comes from " + c.Endpoint.addressSetting()
	}
	var advice []string
	if e.Class == Connect && guard.IsLoopback(c.prepared.URL.Hostname()) {
		advice = append(advice, "is the server running?")
	}
	if c.policyHelps() {
		advice = append(advice, "--retry-policy retry-after retries when no answer arrives")
	}
	return strings.Join(advice, " ")
}

// addressSetting returns the name of the setting that the node's address comes from.
func (e *Endpoint) addressSetting() string {
	switch {
	case e.isURL():
		return "the URL"
	case e.Variable != "":
		return e.Variable
	case e.Provider:
		return "the built-in address of " + e.Name
	}
	return "nodes." + e.Name + ".url"
}

func (e *Endpoint) isURL() bool { return strings.Contains(e.Name, "://") }
