package wire

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// ModelList is a page of a server's list of models.
type ModelList struct {
	// Count is the number of models, and IDs holds the ids, or names, of the first 4096 models that have one.
	Count int
	IDs   []string
	// Next is the id after which the next page begins, "" if there is none.
	Next string
}

// maxModelID is the maximum length of a model id in bytes.
const maxModelID = 256

// Models reads a list of models. It returns false if body is not one.
func Models(body []byte) (list ModelList, ok bool) {
	fields, _ := parse(body)
	l := lexer{b: fields["data"]}
	if !l.enter('[') {
		return list, false
	}
	for ; l.more(']'); list.Count++ {
		model, _ := parse(l.value())
		id := cmp.Or(stringOf(model["id"]), stringOf(model["name"]))
		if id != "" && len(id) <= maxModelID && len(list.IDs) < maxElements {
			list.IDs = append(list.IDs, id)
		}
	}
	if string(fields["has_more"]) == "true" { // from the messages API
		list.Next = stringOf(fields["last_id"])
	}
	return list, true
}

// unknownModel are the codes and types of a model that the server does not have, from OpenAI and Groq, Qianfan,
// Mistral, and Zhipu. unknownPhrases are phrases in such errors, in addition to the word model.
var (
	unknownModel   = []string{"model_not_found", "invalid_model", "1211"}
	unknownPhrases = []string{"not found", "not exist", "no such model", "not a valid model", "invalid model", "unknown model"}
)

// UnknownModel reports whether the error says that the server does not have the model.
func (e *APIError) UnknownModel() bool {
	if e.Status < 400 || e.Status >= 500 {
		return false
	}
	if slices.Contains(unknownModel, e.Code) || slices.Contains(unknownModel, e.Type) {
		return true
	}
	words := e.lowerMessage()
	return strings.Contains(words, "模型不存在") || strings.Contains(words, "model") &&
		(e.Status == http.StatusNotFound || e.Status == http.StatusBadRequest && hasAny(words, unknownPhrases))
}
