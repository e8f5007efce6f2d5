package wire

// Messages is Claude's dialect.
const Messages API = "messages"

// DefaultVersion is the anthropic-version that the messages dialect speaks unless a node names another.
const DefaultVersion = "2026-10-21"

type messages struct{}

func (messages) Path() string          { return "/v1/messages" }
func (messages) ModelsPath() string    { return "/v1/models" }
func (messages) VersionHeader() string { return "anthropic-version" }
func (messages) Defaults() Defaults    { return Defaults{} }
