package cmd

import "fmt"

// exitCodesHelp is the page on exit codes. A test runs the command below each "try" and holds it to its code.
func exitCodesHelp() string {
	return fmt.Sprintf(exitCodesPage, exitDone, exitFailed, exitUsage, exitGaveUp, exitBlocked, exitMissed, exitQuit, exitPipe)
}

const exitCodesPage = `Exit code 0 means that the whole answer is on standard output. Every other one says on standard error what failed, and
mostly what to do. The commands below need no key and no network; echo $? shows the code of the last one.

%-4d done: the answer is whole
       The complete JSON came, or the server said in the stream that the answer ended, and all of it was written.
     do
       Use the answer. It may have stopped at a limit, refused or paused for a tool, which a line on standard error
       says; --strict makes that exit 1.
     try
       ferry ask -n demo hello

%-4d the request failed: another status, no answer, a cut answer, time over
       No whole answer came. What had been sent by then may have been billed.
     causes
       401 or 403: the key is wrong, or not for this model. 400 or 404: a model or a parameter that the node does not
       have. A name that does not resolve, a refused or lost connection, a certificate or pin that does not hold. A page
       instead of an answer, or an answer that ended in a failure of the server. --timeout is over. The disk is full.
       bench: a node had no success at all. config check: a line of it is ✗. A batch: some lines have no answer.
     do
       ferry config check says how far a request gets, for free; -v shows each attempt. --retry-policy retry-after tries
       lost connections again, and a second node (-n a,b) takes over. A longer --timeout where time was over.
     try
       ferry ask -n 'demo:?status=401' hello
       ferry ask -n 'demo:?truncate' hello

%-4d usage or configuration; nothing was sent
       Nothing was paid for: it is the same however often it is tried.
     causes
       An unknown flag, node or command; an empty prompt. No key. A mistake in the file, which is named with its line
       and column. A budget that is used up. A filter whose list cannot be read. Plain http to a public address.
     do
       Read the hint below the error. ferry config list shows every value in force and where it comes from; ferry config
       usage what a budget was used for.
     try
       ferry ask -n nowhere hello

%-4d gave up: the last attempt failed too, or the server asked for too long a wait
       The node was busy (429, 502, 503, 504) each time. Over several nodes: any of them gave up, and none answered.
     causes
       A rate limit, or an outage. A Retry-After of more than a minute. Many processes at once without a common limit.
     do
       Try later, or more often: --attempts 5, --retry-policy backoff. Share a limit: ferry config set limit 50/min.
       Name a second node. ferry help retries shows when what is tried again.
     try
       ferry ask -n 'demo:?status=429' --retry-delay 0s hello

%-4d the content filter blocked the prompt, of which nothing was sent, or withholds the answer
     causes
       A word of the list that filter: names. The error says which line of which list, and never the word.
     do
       Look at that line, then change the prompt or the list. ferry help filter says what is looked at.
     try
       printf 'filter: {words: [sesame]}\n' >filter.yaml; FERRY_CONFIG=filter.yaml ferry ask -n demo "open sesame"

%-4d a check missed: --expect, --threshold
       The answer came, or the bench was run; it is not what was asked for.
     causes
       --expect does not match the answer, which is printed all the same. A node is slower or fails more often than a
       --threshold allows.
     do
       In CI let it fail the job. For bench a larger -r gives a surer figure; -o json has all of them.
     try
       ferry ask -n demo --expect '^pong$' "say pong"
       ferry bench -q -r 5 --threshold 'success>=95%%' 'demo:?success=50'

130  stopped by Ctrl-C (SIGINT); 143 by SIGTERM
       ferry cleans up and dies of the signal, so that a loop around it stops too. What was in flight may be billed.
     causes
       You, timeout(1), a service manager or a CI job that was cancelled.
     do
       A batch goes on with the same command. A conversation keeps its prompt: --resend sends it again.
     try
       timeout --preserve-status -s INT 1 ferry ask -n 'demo:?stall' hello

143  stopped by SIGTERM
       As 130, by another signal.
     try
       timeout --preserve-status 1 ferry ask -n 'demo:?stall' hello

%-4d stopped by SIGQUIT (Ctrl-\); 134 a crash of ferry, by SIGABRT
       A line on standard error says whether something may have been sent. A crash that ferry can still report is 1.
     do
       Look at the account before you send it again. A crash is a fault of ferry: please report what it printed.
     try
       timeout --preserve-status -s QUIT 1 ferry ask -n 'demo:?stall' hello

%-4d standard output was closed by its reader
       head, grep -q or a pager had seen enough. It was not sent a second time, and nothing is said.
     causes
       ferry ask … | head -c 10
     do
       Nothing, mostly. With pipefail in a script, leave 141 out of the failures.
     try
       bash -c 'ferry ask -n "demo:?big=1000000" hello | head -c 10; exit ${PIPESTATUS[0]}'`
