// Command plain is the streaming client that anyone would write: it posts one body, reads the answer line by line,
// unmarshals each event with encoding/json and prints its text. It keeps one promise of ferry's: it fails where the
// terminal event is missing.
//
//	plain [-flush] URL BODY     the key comes from GATEWAY_KEY
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// event is the part of an event that is needed.
type event struct {
	Type  string `json:"type"`
	Delta struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"delta"`
}

func main() {
	flush := flag.Bool("flush", false, "print each text at once instead of when the buffer is full")
	flag.Parse()
	if err := run(flag.Args(), *flush); err != nil {
		fmt.Fprintln(os.Stderr, "plain:", err)
		os.Exit(1)
	}
}

func run(args []string, flush bool) error {
	if len(args) != 2 {
		return fmt.Errorf("want URL and BODY, got %d arguments", len(args))
	}
	req, err := http.NewRequest(http.MethodPost, args[0], strings.NewReader(args[1]))
	if err != nil {
		return err
	}
	req.Header.Set("x-api-key", os.Getenv("GATEWAY_KEY"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	return show(resp.Body, flush)
}

// show prints the text of a stream until its terminal event.
func show(body io.Reader, flush bool) error {
	lines, out := bufio.NewReader(body), bufio.NewWriter(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			continue
		}
		var e event
		if err := json.Unmarshal(data, &e); err != nil {
			return errors.Join(out.Flush(), err)
		}
		switch e.Type {
		case "content_block_delta":
			out.WriteString(e.Delta.Text)
			if flush {
				if err := out.Flush(); err != nil {
					return err
				}
			}
		case "message_stop":
			return out.Flush()
		}
	}
}
