// Command plain does what a Go programmer would write with net/http and encoding/json. The key comes from GATEWAY_KEY.
//
//	plain post URL BODY                sends a request and prints the answer
//	plain stream URL BODY              reads a stream line by line, unmarshals each event and prints its text
//	plain burst URL BODY               the same, but prints when the buffer is full
//	plain -c N batch URL IN OUT        sends each line of IN as a prompt, N at a time, and writes the answers to OUT
//	plain -c N -n M socket URL BODY    sends BODY M times over N raw connections: the reference for load generators
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	workers := flag.Int("c", 1, "requests at a time")
	requests := flag.Int("n", 1, "requests")
	flag.Parse()
	switch args := flag.Args(); args[0] {
	case "post":
		resp := must(post(http.DefaultClient, args[1], args[2]))
		must(io.Copy(os.Stdout, resp.Body))
	case "stream", "burst":
		stream(args[1], args[2], args[0] == "stream")
	case "batch":
		batch(*workers, args[1], args[2], args[3])
	case "socket":
		socket(*workers, *requests, args[1], args[2])
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func post(client *http.Client, url, body string) (*http.Response, error) {
	req := must(http.NewRequest(http.MethodPost, url, strings.NewReader(body)))
	req.Header.Set("x-api-key", os.Getenv("GATEWAY_KEY"))
	req.Header.Set("content-type", "application/json")
	req.Header.Set("anthropic-version", "2023-06-01")
	resp, err := client.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = fmt.Errorf("status %s", resp.Status)
	}
	return resp, err
}

// stream fails if the terminal event is missing.
func stream(url, body string, flush bool) {
	resp := must(post(http.DefaultClient, url, body))
	lines, out := bufio.NewReader(resp.Body), bufio.NewWriter(os.Stdout)
	for ended := false; !ended; {
		data, ok := bytes.CutPrefix(must(lines.ReadBytes('\n')), []byte("data: "))
		if !ok {
			continue
		}
		var event struct {
			Type  string
			Delta struct{ Text string }
		}
		must(0, json.Unmarshal(data, &event))
		out.WriteString(event.Delta.Text)
		ended = event.Type == "message_stop"
		if flush || ended {
			must(0, out.Flush())
		}
	}
}

func batch(workers int, url, from, to string) {
	prompts, encoder := string(must(os.ReadFile(from))), json.NewEncoder(must(os.Create(to)))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	lines := make(chan string)
	var answered, failed atomic.Int64
	var writing sync.Mutex
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for line := range lines {
				text, err := ask(client, url, line)
				if err != nil {
					failed.Add(1)
					continue
				}
				answered.Add(1)
				writing.Lock()
				encoder.Encode([2]string{line, text})
				writing.Unlock()
			}
		})
	}
	for line := range strings.Lines(prompts) {
		lines <- strings.TrimSuffix(line, "\n")
	}
	close(lines)
	all.Wait()
	fmt.Printf("%d answered, %d failed\n", answered.Load(), failed.Load())
}

func ask(client *http.Client, url, prompt string) (string, error) {
	quoted := string(must(json.Marshal(prompt)))
	resp, err := post(client, url, `{"model":"claude-haiku-5-5","max_tokens":100,"messages":[{"role":"user","content":`+quoted+`}]}`)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct{ Content [1]struct{ Text string } }
	err = json.NewDecoder(resp.Body).Decode(&answer)
	return answer.Content[0].Text, err
}

func socket(connections, requests int, address, body string) {
	to := must(url.Parse(address))
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nhost: %s\r\nx-api-key: %s\r\n"+
		"anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s",
		to.Path, to.Host, os.Getenv("GATEWAY_KEY"), len(body), body)
	taken := make([][]float64, connections)
	var all sync.WaitGroup
	for i := range taken {
		all.Go(func() {
			conn := must(net.Dial("tcp", to.Host))
			in := bufio.NewReader(conn)
			exchange(conn, in, request) // warm-up
			for range requests / connections {
				start := time.Now()
				exchange(conn, in, request)
				taken[i] = append(taken[i], 1000*time.Since(start).Seconds())
			}
		})
	}
	all.Wait()
	sum, sorted := 0.0, slices.Sorted(slices.Values(slices.Concat(taken...)))
	for _, ms := range sorted {
		sum += ms
	}
	at := func(q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }
	fmt.Printf("%d requests, in ms: mean %f p50 %f p99 %f\n", len(sorted), sum/float64(len(sorted)), at(0.5), at(0.99))
}

func exchange(conn net.Conn, in *bufio.Reader, request []byte) {
	must(conn.Write(request))
	resp := must(http.ReadResponse(in, nil))
	must(io.Copy(io.Discard, resp.Body))
	if resp.StatusCode != http.StatusOK {
		log.Fatal(resp.Status)
	}
}
