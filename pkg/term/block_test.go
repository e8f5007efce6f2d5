package term

import "testing"

func TestFirstBlock(t *testing.T) {
	const none = "no block"
	for _, test := range []struct{ name, text, want string }{
		{"a block", "x\n```go\na\n\tb\n```\ny\n```\nc\n```\n", "a\n\tb\n"},
		{"tildes", "~~~ py\n```\na\n~~~\n", "```\na\n"},
		{"a longer fence", "````\n```\n````\n", "```\n"},
		{"closed by a longer one", "```\na\n`````  \n", "a\n"},
		{"closed without a line end", "```\na\n```", "a\n"},
		{"line ends of two characters", "  ```\r\n  a\r\n  ```\r\n", "a\r\n"},
		{"an empty block", "```\n```\n", ""},
		{"its own indentation", "   ```\n   a\n     b\n\n   ```\n", "a\n  b\n\n"},
		{"lines with less of it", "   ```\na\n  b\n    c\n   ```\n", "a\nb\n c\n"},
		{"a blank line with more of it", "  ```\n     \n  ```\n", "   \n"},
		{"a tab that is cut", "  ```\n\tif:\n\t\tx\n  ```\n", "  if:\n  \tx\n"},
		{"tabs without an indentation", "```\n\tx\n```\n", "\tx\n"},
		{"in a list", "1. Run this:\n\n   ```python\n   def f():\n       return 1\n   ```\n", "def f():\n    return 1\n"},
		{"in a list, further in", "1. Run this:\n\n    ```python\n    def f():\n        return 1\n    ```\n", "def f():\n    return 1\n"},
		{"in a nested list", "- a\n  1. b\n\n     ~~~\n     if x:\n         y\n     ~~~\n", "if x:\n    y\n"},
		{"in a list three deep", "- a\n  - b\n    - c\n      ```\n      d\n        e\n      ```\n", "d\n  e\n"},
		{"with its item's marker", "- ```sh\n  a\n    b\n  ```\n", "a\n  b\n"},
		{"with two markers", "1. - ```sh\n     a\n     ```\n", "a\n"},
		{"in a list with tabs", "-\ta\n\n\t```\n\tif x:\n\t\ty\n\t```\n", "if x:\n\ty\n"},
		{"in a list, its lines not set in", "1. a\n   ```\ndef f():\n    x\n   ```\n", "def f():\n x\n"},
		{"behind a list", "- a\n\nb\n\n```\nc\n```\n", "c\n"},
		{"in an item with nothing on its line", "-\n  ```\n  a\n  ```\n", "a\n"},
		{"code that is indented is no fence", "a\n\n    ```\n    b\n    ```\n", none},
		{"nor in a list", "- a\n\n      ```\n      b\n      ```\n", none},
		{"behind a list the indentation is code again", "- a\n\nb\n\n    ```\n    c\n    ```\n", none},
		{"a minus is no list", "-5\n\n    ```\n    c\n    ```\n", none},
		{"bold is no list", "**a**\n\n    ```\n    c\n    ```\n", none},
		{"a fence inside that stands too far in", "```\na\n    ```\nb\n```\n", "a\n    ```\nb\n"},
		{"another fence does not close it", "```\na\n~~~\n```\n", "a\n~~~\n"},
		{"no backtick behind backticks", "``` a`b\nc\n```\n", none},
		{"unclosed", "```\na\n", none},
		{"unclosed in a list", "- a\n  ```\n  b\n", none},
		{"none", "a\n", none},
	} {
		got, ok := FirstBlock(test.text)
		if !ok {
			got = none
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
