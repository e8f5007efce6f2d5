package config

// Template is the file that ferry config init writes: every key, commented out, with its reason and its default. A "#"
// before a letter, or before two spaces and a letter, goes to make a setting; the rest are remarks. A test holds the
// defaults to Settings.
func Template() []byte { return []byte(template) }

const template = `# The configuration of ferry. All of it is optional.
#
# A line with a letter right after its "#" is a setting that is switched off, with
# its default: take the "#" away to switch it on. Under nodes, two spaces follow.
# A flag wins over a FERRY_* variable, that over this file, that over the default.
# "ferry config set KEY VALUE" edits this file and keeps what you wrote around it.

# The node to take: a name below, direct, demo, or a URL. Several, as in
# [hongkong, singapore], are asked in turn: the next one when one gave up.
#node: direct

# Whether that may go on in another zone than the first node's.
#failover: {across: false}

# When to try again. script: as the curl script did, on 429, 502, 503 and 504.
# retry-after: also on other 5xx and on no answer, for as long as the server says.
# backoff: with growing, random waits. delay is the script's RETRY_DELAY.
#retry: {policy: script, attempts: 3, delay: 2s}

# The most time for everything, waits included, and for one connection.
#timeout: 10m
#connect_timeout: 15s

# The most time without a byte of a stream; a ping is a byte.
#idle_timeout: 90s

# The rate limit of one node's address, shared by all ferry processes:
# 50/min, or {rate: 600/min, burst: 5}; and the most tokens of it in a day:
# 200000 tokens/day, past which nothing is sent. A node can have its own.
#limit: none
#budget: none

# A proxy's URL, or none. Without it HTTPS_PROXY and its kin count, as in curl, but not for loopback.
#proxy: none

# Keep the connection to a node warm for the next ask or stream, until it has been
# idle this long: 5m to 10m are advised. A node can have its own.
#hold: off

# The lowest TLS version, "1.3" or "1.2". ca: a PEM file of authorities to trust
# instead of the system's. Paths are relative to this file's folder.
#tls: {min: "1.3"}

# A conversation's token lives as long as it is not idle for this; its words stay.
#session: {idle: 10m}

# Words that block a prompt (exit 4), one a line in a file that is read at each use,
# or here: words: [a, b]. on: [prompt, answer] holds answers to them too.
#filter: {file: blocked-words.txt, on: [prompt]}

# What errors, -v and the audit log are not to show besides keys, e-mail addresses,
# telephone, identity card and bank card numbers: patterns in RE2's syntax.
#redact: ["工号[:：]\\s*\\d+"]

# One line of JSON for each call, without its words; content: redacted adds them.
#audit: {file: audit.jsonl, content: none, max_size: 10MiB}

# Style the Markdown of answers on a terminal: on or off.
#render: on

# Nodes. A node here takes its address and key from here alone.
#   url       where it is; /v1/messages and the like are added to it
#   api       messages (Claude), complete (the script's gateways), chat (the rest)
#   key       where the key is, never the key itself: env:NAME, file:PATH (0600),
#             cmd:COMMAND (its output; no shell) or keyring:NAME
#   auth      x-api-key, bearer, header:NAME or none, where api does not say it
#   headers   more headers, such as {X-Team: core, X-Gate: "env:GATE"}
#   aliases   short names for models, such as {fast: claude-haiku-5-5}
#   sticky    true: send a conversation's token, so that a gateway keeps it in place
#   zone      where the node is, such as cn: failover stays among nodes of one zone
#   also      label, model, max_tokens, limit, budget, hold, proxy, version,
#             tls {min, ca, cert, key},
#             insecure: true (plain http to an address that is not private)
#   pins      public keys of which the certificate's chain has to have one, such as
#             ["sha256//BASE64", …]; "ferry config pin NODE" shows them
#nodes:
#  direct:   {url: "https://api.anthropic.com", api: messages, key: "env:ANTHROPIC_API_KEY", model: claude-opus-5-5}
#  hongkong: {label: 香港代理节点, url: "https://hk.example.com/api", api: messages, key: "env:CLAUDE_KEY"}
#  legacy:   {url: "https://yourdomain.com/api", api: complete, key: "file:~/.config/ferry/legacy.key"}
#  qwen:     {url: "https://dashscope.aliyuncs.com/compatible-mode/v1", api: chat, key: "env:DASHSCOPE_API_KEY", model: qwen-plus}
#  ernie:    {url: "https://qianfan.baidubce.com/v2", api: chat, key: "cmd:pass show qianfan", model: ernie-4.5-turbo-32k}
#  llama:    {url: "http://127.0.0.1:11434/v1", api: chat, auth: none, model: llama3.2}

# A gateway of your own: "ferry config nginx" writes it for nginx from these keys,
# and "ferry config token" keeps its callers' tokens.
#   cert, key    PEM files of the certificate for server_name
#   listen       ports, or addresses with a port: [443, "[::]:443"]
#   upstream     the node it leads to, or several; a session stays on one
#   keepalive    idle connections kept to each
#   rate, burst  for each address: 50/min or 5/s, and how many more at once
#   connections  requests of one token under way
#   tokens       the file of the tokens; logs, temp: folders
#   roles        what tokens may do: messages, count_tokens, models, complete, chat
#gateway:
#  server_name: ai.example.com
#  cert: /etc/letsencrypt/live/ai.example.com/fullchain.pem
#  key: /etc/letsencrypt/live/ai.example.com/privkey.pem
#  listen: 443
#  prefix: /api/
#  upstream: direct
#  keepalive: 16
#  rate: 50/min
#  burst: 49
#  connections: 64
#  tokens: gateway-tokens.conf
#  logs: /var/log/nginx
#  roles: {dev: [messages, models], ci: [models]}
`
