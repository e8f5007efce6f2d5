package wire

import (
	"errors"
	"strings"
	"testing"
)

func TestModels(t *testing.T) {
	for body, want := range map[string]string{
		`{"data":[{"id":"a"},{"name":"b"},{}]}`:                                  "3 a,b ",
		`{"data":[]}`:                                                            "0  ",
		`{"data":[{"id":"a"}],"has_more":true,"last_id":"a"}`:                    "1 a a",
		`{"data":[{"id":"a"}],"has_more":false,"last_id":"a"}`:                   "1 a ",
		`{"data":[{"id":"a"}],"has_more":true}`:                                  "1 a ",
		`{"data":[{"id":"` + strings.Repeat("x", maxModelID+1) + `"},{"id":5}]}`: "2  ",
		`{"models":[]}`: "none", `[]`: "none", `<html>`: "none", `{"data":{}}`: "none", ``: "none",
	} {
		list, ok := Models([]byte(body))
		got := strings.Join([]string{string(rune('0' + list.Count)), strings.Join(list.IDs, ","), list.Next}, " ")
		if !ok {
			got = "none"
		}
		errorIf(t, got != want, "%s: got %q, want %q", body, got, want)
	}
	long := `{"data":[` + strings.Repeat(`{"id":"a"},`, maxElements) + `{"id":"b"}]}`
	if list, ok := Models([]byte(long)); !ok || len(list.IDs) != maxElements || list.Count != maxElements+1 {
		t.Errorf("a long list: %d ids of %d", len(list.IDs), list.Count)
	}
}

// TestUnknownModel checks that errors about an unknown model are distinguished from other errors.
func TestUnknownModel(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   bool
	}{
		{404, `{"type":"error","error":{"type":"not_found_error","message":"model: claude-x"}}`, true},
		{404, `{"error":{"message":"The model x does not exist or you have no access to it","type":"invalid_request_error","code":"model_not_found"}}`, true},
		{404, `{"error":{"message":"model \"x\" not found, try pulling it first","type":"api_error"}}`, true},
		{400, `{"error":{"message":"Model Not Exist","type":"invalid_request_error"}}`, true},
		{400, `{"error":{"message":"x is not a valid model ID","code":400}}`, true},
		{400, `{"error":{"code":"1211","message":"模型不存在，请检查模型代码"}}`, true},
		{400, `{"object":"error","message":"Invalid model: x","type":"invalid_model","code":"1500"}`, true},
		{404, `{"error":{"message":"no such path"}}`, false},
		{404, `<html>nothing</html>`, false},
		{400, `{"error":{"message":"max_tokens is too large for this model"}}`, false},
		{400, `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model.","code":"unsupported_parameter"}}`, false},
		{401, `{"error":{"message":"the model does not exist"}}`, false},
		{500, `{"error":{"message":"model not found","code":"model_not_found"}}`, false},
	} {
		_, err := Chat.Decode(c.status, []byte(c.body))
		var failed *APIError
		errorIf(t, !errors.As(err, &failed) || failed.UnknownModel() != c.want, "%d %s: %v, want %t", c.status, c.body, err, c.want)
	}
}
