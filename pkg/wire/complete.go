package wire

// Complete is the dialect of the script that ferry replaces: a prompt and max_tokens.
const Complete API = "complete"

type complete struct{}

func (complete) Path() string          { return "/v1/complete" }
func (complete) ModelsPath() string    { return "/v1/models" }
func (complete) VersionHeader() string { return "" }
func (complete) Defaults() Defaults    { return Defaults{Model: ModelNone, MaxTokens: 100} } // the script's
