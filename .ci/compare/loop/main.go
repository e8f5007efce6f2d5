// Command loop is what a Go programmer writes for many prompts: some goroutines that share one http.Client, and a file
// of answers behind a lock. It knows no journal, no retries and no going on where it was.
//
//	loop [-c N] URL IN OUT     the key comes from GATEWAY_KEY
//
// IN has a prompt on each line. It prints how many answers there were and how many failures.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
)

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type request struct {
	Model     string    `json:"model"`
	MaxTokens int       `json:"max_tokens"`
	Messages  []message `json:"messages"`
}

type answer struct {
	Content []struct {
		Text string `json:"text"`
	} `json:"content"`
}

type result struct {
	ID   int    `json:"id"`
	Text string `json:"text"`
}

type prompt struct {
	id   int
	text string
}

func main() {
	workers := flag.Int("c", 64, "requests at a time")
	flag.Parse()
	if flag.NArg() != 3 || *workers < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*workers, flag.Arg(0), flag.Arg(1), flag.Arg(2)); err != nil {
		fmt.Fprintln(os.Stderr, "loop:", err)
		os.Exit(1)
	}
}

func run(workers int, url, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	prompts := make(chan prompt)
	var answered, failed atomic.Int64
	var writing sync.Mutex
	encoder := json.NewEncoder(out)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for p := range prompts {
				text, err := ask(client, url, p.text)
				if err != nil {
					failed.Add(1)
					continue
				}
				answered.Add(1)
				writing.Lock()
				encoder.Encode(result{p.id, text})
				writing.Unlock()
			}
		})
	}
	lines := bufio.NewScanner(in)
	for id := 1; lines.Scan(); id++ {
		prompts <- prompt{id, lines.Text()}
	}
	close(prompts)
	all.Wait()
	fmt.Printf("%d answered, %d failed\n", answered.Load(), failed.Load())
	return lines.Err()
}

func ask(client *http.Client, url, text string) (string, error) {
	body, err := json.Marshal(request{"claude-haiku-5-5", 100, []message{{"user", text}}})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("x-api-key", os.Getenv("GATEWAY_KEY"))
	req.Header.Set("content-type", "application/json")
	req.Header.Set("anthropic-version", "2023-06-01")
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var got answer
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK || len(got.Content) == 0 {
		return "", fmt.Errorf("status %s", resp.Status)
	}
	return got.Content[0].Text, nil
}
