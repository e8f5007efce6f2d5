package wire

// Chat is the OpenAI-style dialect.
const Chat API = "chat"

type chat struct{}

func (chat) Path() string          { return "/chat/completions" }
func (chat) ModelsPath() string    { return "/models" }
func (chat) VersionHeader() string { return "" }
func (chat) Defaults() Defaults    { return Defaults{Bearer: true, Model: ModelRequired} }
