# The tasks of the project. `make` without a target lists them. Each target works on a fresh clone.

PACKAGES = ./... ./.ci/compare/... ./.ci/man ./.ci/licenses
SOURCES  = main.go cmd pkg .ci
SHELLS   = bash zsh fish powershell

# The version that is built into the binary. Without git, or outside a clone, the binary keeps the one in
# cmd/version.go.
# A tag begins with v, a version does not.
VERSION  = $(patsubst v%,%,$(shell git describe --tags --always --dirty 2>/dev/null))
COMMIT   = $(shell git rev-parse --short=12 HEAD 2>/dev/null)
# In UTC, as goreleaser writes it: a commit has the same date wherever it is built.
DATE     = $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
STAMP    = $(and $(VERSION),-X ferry/cmd.version=$(VERSION) -X ferry/cmd.commit=$(COMMIT) -X ferry/cmd.date=$(DATE))
LDFLAGS  = -s -w $(STAMP)
# The stamp above replaces Go's own stamp, which fails in a clone that belongs to another user.
GOBUILD  = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

TARGETS  = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
DIST     = dist
FUZZTIME = 10s
SOAK     = 10
KILLS    = 1000
COVER    = 85
COMPLETIONS = completions
COMPARE  =
ROUNDS   = 6

# Go keeps its caches under HOME and refuses to build without one.
ifeq ($(strip $(HOME)),)
export HOME := $(shell mktemp -d)
endif

.DEFAULT_GOAL := help
.PHONY: help build demo test check fmt vet staticcheck cover link memory kills soak fuzz compare completions cross ci recording man packages windows

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

build: ## build the binary, ./ferry: static, without debug tables
	@$(GOBUILD) -o ferry$(shell go env GOEXE) .

# The demo uses a temporary HOME, so that your configuration does not change its output.
demo: build ## show a request with retries, and compare three nodes (no key, no network, 20 seconds)
	@set -e; home=$$(mktemp -d); trap 'rm -rf "$$home"' EXIT; \
	export HOME="$$home" XDG_CONFIG_HOME="$$home" XDG_STATE_HOME="$$home" PATH="$(CURDIR):$$PATH"; unset FERRY_CONFIG; \
	try() { printf '\n$$ %s\n' "$$1"; eval "$$1"; }; \
	printf 'A node that answers 429, then 503, then 200. ferry waits 2 s after each, as the script does.\n'; \
	try "ferry ask -n 'demo:?status=429,503,200' 'Is the ferry running today?'"; \
	printf '\nA node far away, and what the answer cost in tokens.\n'; \
	try "ferry ask -n demo/hongkong -u 'Which node should I take?'"; \
	printf '\nWhich node is the best one to take? A hundred requests to each, from this process.\n'; \
	try "ferry bench -q -r 100 -c 100 demo/direct demo/hongkong demo/singapore"; \
	printf '\nThose were demo nodes, inside ferry. For real ones: ferry ask --help, ferry bench --help\n'

test: ## run the tests
	@go test -timeout 30m ./...

check: fmt vet staticcheck cover ## check formatting, vet, staticcheck and the coverage of pkg/

fmt:
	@files=$$(gofmt -l $(SOURCES)); if [ -n "$$files" ]; then printf 'not gofmt-ed:\n%s\n' "$$files"; exit 1; fi

# With the same GOFLAGS, vet and the cross-builds share compiled packages.
vet:
	@for os in linux windows darwin; do \
		CGO_ENABLED=0 GOFLAGS="$$GOFLAGS -trimpath -buildvcs=false" GOOS=$$os go vet $(PACKAGES) || exit 1; done

# Pinned in a separate module file, so that ferry's go.mod lists only the modules that ferry uses.
staticcheck:
	@go tool -modfile=.ci/tools/go.mod staticcheck $(PACKAGES)

# By statement, from the short tests of each package. Code that only the tests of cmd run does not count, so the real
# coverage is higher.
cover:
	@set -e; profile=$$(mktemp); trap 'rm -f "$$profile"' EXIT; go test -short -timeout 30m -coverprofile="$$profile" ./pkg/...; \
	awk -v least=$(COVER) 'NR > 1 { all += $$2; if ($$3 > 0) run += $$2 } \
		END { if (all == 0) { print "no statement was found"; exit 1 } \
		printf "pkg/: %.1f %% of %d statements are covered, at least %d %% have to be\n", 100 * run / all, all, least; \
		exit 100 * run < least * all }' "$$profile"

# With ROUNDS of 100 or more, it also measures what needs many rounds: make link ROUNDS=150 takes half an hour.
link: ## test over a 200 ms link: ferry and curl, round trips, IPv4 and IPv6, a gateway over HTTP/3 (Linux, root)
	@set -e; FERRY_TRIXIE=$${FERRY_TRIXIE:-$$(.ci/trixie)}; export FERRY_TRIXIE; \
	FERRY_LINK=$(ROUNDS) go test -count=1 -timeout 60m -v -run \
		'^(TestPath.*|TestHoldSlowLink|TestRoundTrips|TestStrayOverSlowLink|TestHappyEyeballs|TestNginxHTTP3)$$' ./cmd

memory: ## check the memory of a process with prompts and answers of maximum size (Linux)
	@go test -count=1 -timeout 30m -run '^TestMemoryOf' ./cmd

kills: ## kill a batch KILLS (1000) times at random moments
	@go test -count=1 -timeout 30m -run '^TestBatchKilled$$' ./cmd -kills $(KILLS)

soak: ## run all tests SOAK (10) times with the race detector, then kills and fuzz
	@FERRY_SOAK=1 go test -race -count=$(SOAK) -timeout 4h ./...
	@go test -count=$(SOAK) -timeout 4h ./pkg/bench
	@$(MAKE) --no-print-directory kills fuzz

# Without -fuzzminimizetime, go test spends a minute on making one long input smaller, and tries nothing else.
fuzz: ## run every fuzz target for FUZZTIME (10s) each
	@set -e; listed=$$(go test -list '^Fuzz' ./...); targets=$$(printf '%s\n' "$$listed" | awk '/^Fuzz/ { names[++n] = $$1 } \
		$$1 == "ok" { for (i = 1; i <= n; i++) print $$2, names[i]; n = 0 }'); \
	if [ -z "$$targets" ]; then echo 'no fuzz target found' >&2; exit 1; fi; \
	printf '%s\n' "$$targets" | while read -r package name; do \
		printf '\n%s %s\n' "$$package" "$$name"; \
		go test "$$package" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x </dev/null || exit 1; done

# It takes at most 12 minutes, unattended. COMPARE='-only ask' measures a part; COMPARE=-quick only checks that
# everything works. Neither changes testdata/measured.md.
compare: build ## compare ferry with curl, hey, vegeta, wrk and others: testdata/measured.md
	@.ci/peers
	@go run -buildvcs=false ./.ci/compare -ferry ./ferry -out testdata/measured.md $(COMPARE)

windows: ## run the Windows tests with Debian 13's Wine, installed once in two minutes (Debian, root)
	@.ci/windows

completions: build ## generate completions/ for bash, zsh, fish and PowerShell
	@mkdir -p $(COMPLETIONS)
	@set -e; for shell in $(SHELLS); do \
		case $$shell in powershell) end=ps1 ;; *) end=$$shell ;; esac; \
		./ferry completion $$shell > $(COMPLETIONS)/ferry.$$end; done

recording: ## generate the README's terminal picture, from the commands in cmd/recording_test.go
	@go test -count=1 ./cmd -run '^TestRecording$$' -update

man: ## generate dist/man/: a man page for each command and help topic
	@rm -rf $(DIST)/man
	@go run -buildvcs=false ./.ci/man -version '$(VERSION)' -date '$(DATE)' $(DIST)/man

cross: ## build dist/: Linux, macOS and Windows on amd64 and arm64
	@mkdir -p $(DIST)
	@set -e; for target in $(TARGETS); do \
		os=$${target%/*}; arch=$${target#*/}; end=; [ $$os != windows ] || end=.exe; \
		GOOS=$$os GOARCH=$$arch $(GOBUILD) -o "$(DIST)/ferry-$$os-$$arch$$end" .; done

packages: ## build and check dist/release/: archives, deb and rpm of this checkout; builds goreleaser first (minutes)
	@.ci/package

ci: ## run everything that has to pass before a change lands
	@.ci/run
