// Command bare is the floor that ferry is measured against: it posts one body with net/http, checks the status and
// copies the answer to standard output. It knows no nodes, no retries and no flags.
//
//	bare URL BODY     the key comes from GATEWAY_KEY
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
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
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}
