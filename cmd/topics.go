package cmd

// The pages of `ferry help TOPIC` that the README points to, so that it can be short. They come with the binary.

const batchHelp = `ferry ask --batch IN --out OUT asks every line of IN. The same command again goes on where it was.

  ferry ask --batch prompts.txt --out answers.jsonl -c 8
  ferry ask --batch items.jsonl --out answers.jsonl --dry-run     how many requests and tokens; nothing is sent

A line is a prompt, or an object: {"id": "a", "prompt": "…", "system": "…", "model": "…", "max_tokens": 100}. What
begins with { has to be one. An id is a text or a whole number; without one it is the line's number. Blank lines are
left out. - is standard input.

answers.jsonl
  gets a line for each answer as it comes, in any order: id, line, node, model, text, stop_reason, usage, attempts,
  latency_ms and error, which is null here. It holds answers alone, none twice, and a line that is there stays.

answers.jsonl.failed
  has what failed, with its error. The next run asks it again and writes the list anew. Malformed lines are there too;
  the rest goes on without them.

answers.jsonl.journal
  says, before each request, that it is about to be sent. When ferry or the machine was killed, the next run names what
  was in flight then. That may have been answered and billed, and so may a request whose answer was cut or never came:
  they are asked again only with --again. The journal belongs to one input and one set of settings (not to the node, -c
  or the retries): another is exit 2. Both files are on the disk 100 ms after they were written at the latest. A killed
  process loses nothing; a power cut can lose the answers of that long, and that they were asked for.

What bounds it
  It says how many requests and tokens there will be before the first one. --max-tokens-total bounds what one run can be
  billed. The first 401 or 403, --max-failures in a row (100) and a full disk end it, and so does the first Ctrl-C: what
  is in flight is waited for. --timeout and the retries are those of each prompt. Several nodes, limits, budgets, the
  filter and the audit log hold for each prompt as they do for a call of its own.

Exit codes
  0: every line has its answer. 1: some have none, and where to look. 2: nothing was sent; duplicate ids are found
  before the first request.`

const measuringHelp = `ferry bench sends one small prompt to all nodes, round by round, and says which one to take and how sure it is.

What is compared
  All nodes are measured in the same minutes: in each round every node gets one request, in an order drawn anew, and a
  faster node waits for the slower ones. Failures are counted and never averaged in; every success rate has its Wilson
  interval; a difference is called one only when the paired comparison shows it.

What is measured
  Each request is one attempt on a new connection, as each run of the script's curl was. --connections reused|both,
  --attempts 3, --stream (time to the first token, inter-token latency, tokens/s), -c and --rate (an open loop: latency
  counts from when a request was due) measure something else, and the report says what.

What it costs
  It says how many requests and tokens there will be before the first one. --dry-run stops there, --max-tokens-total
  bounds the bill, --precision 5% ends a run once every interval is that tight, and the first Ctrl-C ends it with a
  report of what there is.

What it prints
  -o text, markdown, json, csv, junit, prometheus, html or best; --out FILE writes it whole or not at all; --lang zh
  gives a Chinese table.

A check for CI
  --threshold 'hongkong:p95<1200ms' --threshold 'success>=95%': exit 5 when one is missed, exit 1 when a node had no
  success at all.

Runs that are kept
  --save run.jsonl keeps every attempt; ferry bench report monday.jsonl tuesday.jsonl merges runs exactly, and shows
  those from different places (--vantage) side by side.`

const failoverHelp = `Several nodes, with commas (-n a,b), with -n again or as node: [a, b], are asked in turn, each with its own key, API
and model. A line on standard error names each handover, -o json has every attempt with its node, and --timeout is that
of all nodes together.

  of a node                                                         the next one is asked
  it gave up: attempts used up, or a wait that is too long          yes
    or passes the timeout
  429; a used-up account or a spend cap, whatever the status:       yes, once the policy is done with it
    that is one key's
  any 5xx; no answer (DNS, refused, reset, timeout);                yes, once the policy is done with it
    a page instead of an answer
  any other 4xx or status; a certificate or pin that does           no
    not hold; a redirect; plain http
  an answer that came in part; anything printed; a full             no: it was paid for
    disk; Ctrl-C

Time
  An attempt of ask takes at most its share of the time that is left, while other nodes wait behind it: one of two nodes
  has half of it. A stream has --idle-timeout for that.

Keys
  The key of a node goes to no other, and is looked up when its turn comes. A later node without one is left out, and a
  line says so. Everything else is checked before anything is sent; -m with nodes of different APIs is exit 2.

Zones
  zone: cn says where a node is. Another zone is entered only with --across or failover: {across: true}; else it ends
  there, and names the node that was not asked. A node without a zone is in no zone but that of others without one.

A conversation stays with the nodes that it began with. The exit code is 3 where any node gave up, else 1.`

const limitsHelp = `  ferry ask --limit 50/min "hello"                              for one call
  ferry config set limit 50/min                                 for all; or '600/min burst 5'
  ferry config set nodes.hongkong.budget '200000 tokens/day'
  ferry config usage                                            tokens by day and node

Limits
  A limit is one bucket for each server (host and port) and user: every attempt of every ferry draws from it, retries,
  bench and config check too. Turns come in the order in which they were asked for. Whoever has to wait says so on
  standard error; a wait that would pass --timeout sends nothing and is exit 1. No latency holds such a wait.

  The bucket keeps its time by the machine's own clock, so that setting the time refills nothing. Where its folder
  cannot be written, each ferry keeps the limit by itself, with one warning. bench refuses a plan that the limit leaves
  no time for, with the time it would take.

Budgets
  A budget counts what the node reports, or the worst that was possible where it reports nothing. Past it nothing is
  sent: exit 2, until midnight. However many ferries there are, a day passes its budget by less than one request.
  Where its folder cannot be written nothing is sent either (exit 2); --budget-unchecked sends all the same.

-v shows the server's own limits, where it tells them, in one line.`

const storageHelp = `All of it is yours alone (mode 0600), on this machine, and nothing is sent anywhere but to the node.

  configuration, and keys that config key puts into files
      in ~/.config/ferry, until you remove them
  conversations, by --session, --new, --continue
      in ~/.local/state/ferry/sessions, until you remove them; the token 10 minutes without use
  the buckets of limits: times, no text, no address (its hash)
      in ~/.local/state/ferry/limits, until you remove them; they count for minutes
  tokens used by day and node's name, where a budget is set
      in ~/.local/state/ferry/limits, 400 days
  the sockets of held connections, and an empty lock, where hold asks for them
      in $XDG_RUNTIME_DIR/ferry, else ~/.local/state/ferry/hold, until the holders end
  the audit log, where audit: asks for one
      where it says, ten files of max_size, until you remove them
  the gateway's tokens and keys, where you run config nginx and config token
      where you say, until you remove them
  what you ask for: bench --save; and bench --out, which others may read (0644), such as a collector of metrics
      where you say, until you remove it

Without a conversation, a limit, a budget or an audit log, a call writes nothing. --no-store makes sure of it for one
call: no file is made or changed and no line of the audit log is written, the limit holds within the call alone, a
budget that is used up still holds, and what it uses is not counted. ferry config purge shows what there is and removes
it (--yes where there is no terminal; the audit log with --audit).`

const holdHelp = `  ferry ask --hold 5m "hello"       for a call and those that follow it; FERRY_HOLD=5m
  hold: 5m                          in the file, for all nodes or for one; hold: off for one of them
  ferry config hold                 the holders: node, age, requests, connections, memory, idle left, process
  ferry config hold stop [node…]    ends them

The first ask or stream to a node leaves a small process behind, the holder, with the connection. The next one, from any
shell of this user, borrows it over a Unix socket: no DNS, no TCP, no TLS, one round trip. Several at once get several
connections, of which up to 16 stay. -v says "held connection", -o json "held": true. 300 to 600 seconds are advised.

What it promises
  Nothing changes but the time: attempts, retries, limits, streams, timeouts and the audit log are as without it.
  A holder only carries bytes. It has no key, in its arguments, its environment or a file; it keeps nothing of a request
  or an answer once that is over; it writes nothing to a disk.
  Each node has a holder of its own, and each way to it too: another address, proxy, TLS floor, pin, authority or client
  certificate never meets an old connection. Pins and certificates are checked whenever a holder connects.
  No holder, one that does not answer at once, or a socket, folder or process that is not this user's alone: the request
  goes directly, in silence. So it does when a holder dies or is stopped before it has taken a byte. Once it has, a
  holder that dies, or does not answer for some seconds, is a connection that was reset, and the attempt says that the
  request may have been carried out.
  A connection that the server closes is replaced at once; that a path is dead is known in about half a minute. One that
  the server closes when a request comes, before any byte of an answer, is not the end: the request is sent once more on
  a new connection, as curl does. So it is without a holder, on a connection that an earlier attempt has left.

When it ends
  After the idle time; with ferry config hold stop or config purge; with the login, where the system removes
  $XDG_RUNTIME_DIR; and when ferry itself is replaced by another version. What is under way is finished first.

What it is not for
  bench, --batch (which keeps connections itself), config check and demo nodes; --no-store, which leaves nothing behind;
  plain http through a proxy; Windows, where it is off and a line says so.
  HTTP/2 is not spoken: its compression would keep the key in the memory of a process that is to have none, and several
  answers over one TCP connection wait for each other's lost packets.`

const filterHelp = `  filter: {file: blocked-words.txt, on: [prompt, answer]}   on: [prompt] without it; words: [a, b] works too
  redact: ['工号\s*\d+']                                    patterns of your own, in RE2's syntax
  audit: {file: audit.jsonl, content: none, max_size: 10MiB}

The filter
  It reads its list at each use: UTF-8, one word a line; a line of # and a space is a remark. Case, full width, accents'
  spelling and invisible characters make no difference. It looks at the prompt with its files, the system prompt, your
  earlier prompts of the conversation, --stop, --schema and --param, before a request is sent; bench prompts too. A
  blocked word is exit 4 and names the list and the line, never the word. A list that is missing, unreadable or empty is
  exit 2: it fails closed. 10,000 words add about 7 ms to an ask, 100,000 about 40 ms.

  With on: [prompt, answer], ask withholds the whole answer; stream shows what comes before the word and reads no more
  of it, in every form; the reasoning is held to the list where it is shown. Nothing of a blocked answer is kept in a
  conversation. -o raw shows an event only after its text has passed.

Redaction
  Out of standard error (errors, notes, -v), the errors in -o json, reports and the audit log it takes: keys by their
  shape and by the name before them, Authorization and x-api-key values, 姓名, 电话 and 身份证 fields, e-mail addresses,
  mainland mobile numbers, identity cards and bank cards whose checksums hold, and what your patterns match. What cannot
  be told by its shape, such as a name in a sentence, is not found. The model's answer on standard output is never
  redacted, nor is its reasoning under --thinking; --dry-run masks secrets only, since it shows what would be sent.

The audit log
  It has one line of JSON for each ask and stream that sent something or was blocked: time, node, api, model, request
  id, status, class, attempts, waits, latency, tokens, exit code, the conversation (a hash of its name), ambiguous where
  a request may have been billed without an answer, and reconnects: how many requests were sent once more because a kept
  connection was closed before an answer. No prompt, answer or key is in it; content: redacted adds the first 8 KiB of
  prompt and answer, redacted. The file is yours alone (0600; a link, another's file or one that others can read is
  refused), whole lines from any number of processes, rotated to audit.jsonl.1 … .9. A log that cannot be written is
  said on standard error and takes no answer away. bench and config check are not in it.`

const gatewayHelp = `Between many callers and one API, ferry config nginx writes the configuration of nginx (1.19.4 or later): TLS 1.3
alone, 50 requests a minute for each address, tokens with roles, the API's certificate verified, its key kept from
callers, streams passed on as they come, and logs that know no caller. Each block says why it is there.

  ferry config set gateway.server_name ai.example.com
  ferry config set gateway.cert /etc/letsencrypt/live/ai.example.com/fullchain.pem
  ferry config set gateway.key /etc/letsencrypt/live/ai.example.com/privkey.pem
  ferry config set gateway.upstream direct                 or several: direct,hongkong
  ferry config set gateway.roles.dev messages,models       also count_tokens, complete, chat
  ferry config token new dev                               a caller's token, shown this once
  ferry config nginx --out /etc/nginx                      replaces only what ferry wrote

The files belong to root, since nginx starts as root. ferry config token list names the tokens without showing them,
revoke takes them away; either counts once nginx is reloaded, which ferry never does by itself. Several upstreams share
the callers: each conversation with sticky: true stays on one.

gateway: also knows listen, prefix (/api/), rate (50/min), burst (49), connections (64 for each token), keepalive,
tokens, logs and temp; ferry config init explains them.

On a caller's machine the node's url is https://ai.example.com/api, ferry config key stores the token, and ferry config
check looks at the gateway's health, TLS floor and guard as well.`
