package wire

import (
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
