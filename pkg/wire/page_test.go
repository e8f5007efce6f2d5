package wire

import (
	"strings"
	"testing"
)

// TestPageWords holds that a page is shown as what it says, and never as its markup.
func TestPageWords(t *testing.T) {
	for _, test := range []struct{ name, page, want string }{
		{"a title", "<html><head><title>\n 502 Bad\n Gateway </title></head><body>nginx</body>", "502 Bad Gateway"},
		{"a title with attributes and references", `<TITLE id="a">Just a moment&hellip; &amp;</TITLE>`, "Just a moment… &"},
		{"an empty title", "<title> </title><h1>Welcome</h1><p>to   nginx", "Welcome to nginx"},
		{"a title without an end", "<title>open<h1>Hello</h1>", "open Hello"},
		{"no title", "<!DOCTYPE html><!-- a\n<b>comment --><style>p{}</style><script>var a='<p>'</script><p>No <b>route</b>", "No route"},
		{"XML", `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>`, "AccessDenied Request has expired"},
		{"a title in an SVG picture", "<svg><desc>a logo</desc></svg><p>Hello", "Hello"},
		{"markup alone", "<html><body></body></html>", ""},
		{"a tag that is cut", "<p>Hello <a href='", "Hello"},
		{"a long title", "<title>" + strings.Repeat("ab ", 70) + "</title>", strings.Repeat("ab ", 66) + "…"},
		{"cut at a whole character", "<title>" + strings.Repeat("好", 67) + "</title>", strings.Repeat("好", 66) + "…"},
		{"half a word may be half a key", "<title>key " + strings.Repeat("x", 200) + "</title>", "key …"},
		{"no page", "hello <b>", ""},
		{"nothing", "", ""},
	} {
		if got := pageWords([]byte(test.page)); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	fault := APIError{}
	fault.readBody([]byte(`{"error":{"message":"<html><title>413 Too Large</title><hr>nginx</html>"}}`))
	errorIf(t, fault.Message != "413 Too Large", "a page inside an error is %q, want its title", fault.Message)
}
