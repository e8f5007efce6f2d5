package wire

// chunk holds the raw values of one event's data that the dialects look for; nil where they are not there. Of a name
// that comes twice the last one counts, as in encoding/json.
type chunk struct {
	kind, id, model, usage, fault, status, base []byte

	// Of messages: the message of message_start, the block of content_block_start and what a delta says it is.
	message, block, delta []byte
	// What was said: Complete's completion is text too.
	text, reasoning, refusal []byte
	// stop is the stop_reason or finish_reason.
	stop []byte

	// Of chat: how many choices there are, the index of the one that is read, its message, which stands where a delta is
	// expected, and the role in its delta.
	choices            int
	index, whole, role []byte
	// inFault and inUsage are the error and the usage inside the choice.
	inFault, inUsage []byte
}

// read reads the data of one event, and reports whether it is one JSON object.
func (c *chunk) read(a API, data []byte) bool {
	l := lexer{b: data}
	*c = chunk{}
	if !l.enter('{') {
		return false
	}
	for name, ok := l.member(); ok; name, ok = l.member() {
		switch string(name) {
		case "type":
			c.kind = l.value()
		case "id":
			c.id = l.value()
		case "model":
			c.model = l.value()
		case "usage":
			c.usage = l.value()
		case "error":
			c.fault = l.value()
		case "status":
			c.status = l.value()
		case "base_resp":
			c.base = l.value()
		default:
			c.member(a, &l, name)
		}
	}
	if c.inFault != nil && !isFault(c.fault) {
		c.fault = c.inFault
	}
	if c.inUsage != nil && isNull(c.usage) {
		c.usage = c.inUsage
	}
	return l.whole()
}

// member reads a member that only one dialect knows.
func (c *chunk) member(a API, l *lexer, name []byte) {
	switch a {
	case Complete:
		switch string(name) {
		case "completion":
			c.text = l.value()
			return
		case "stop_reason":
			c.stop = l.value()
			return
		}
	case Chat:
		if string(name) == "choices" {
			c.readChoices(l)
			return
		}
	default:
		switch string(name) {
		case "delta":
			c.messagesDelta(l)
			return
		case "message":
			c.message = l.value()
			return
		case "content_block":
			c.block = l.value()
			return
		}
	}
	l.value()
}

func (c *chunk) messagesDelta(l *lexer) {
	c.delta, c.text, c.reasoning, c.stop = nil, nil, nil, nil
	if !l.enter('{') {
		l.value()
		return
	}
	for name, ok := l.member(); ok; name, ok = l.member() {
		switch string(name) {
		case "type":
			c.delta = l.value()
		case "text":
			c.text = l.value()
		case "thinking":
			c.reasoning = l.value()
		case "stop_reason":
			c.stop = l.value()
		default:
			l.value()
		}
	}
}

// readChoices keeps the only choice, whatever its index is: some gateways put Claude's number of a block there. Of several
// it keeps the one of index 0, or the first: a server that was made to send more sends other answers to the same prompt.
func (c *chunk) readChoices(l *lexer) {
	c.choices, c.text, c.reasoning, c.refusal, c.stop, c.role = 0, nil, nil, nil, nil, nil
	c.index, c.whole, c.inFault, c.inUsage = nil, nil, nil, nil
	if !l.enter('[') {
		l.value()
		return
	}
	for l.more(']') {
		var one chunk
		if !one.choice(l) {
			continue
		}
		if c.choices++; c.choices == 1 || !isZero(c.index) && isZero(one.index) {
			c.text, c.reasoning, c.refusal, c.stop, c.role = one.text, one.reasoning, one.refusal, one.stop, one.role
			c.index, c.whole, c.inFault, c.inUsage = one.index, one.whole, one.fault, one.usage
		}
	}
}

func isZero(index []byte) bool { return isNull(index) || string(index) == "0" }

// choice reads one choice, and reports whether it is one.
func (c *chunk) choice(l *lexer) bool {
	if !l.enter('{') {
		l.value()
		return false
	}
	for name, ok := l.member(); ok; name, ok = l.member() {
		switch string(name) {
		case "index":
			c.index = l.value()
		case "finish_reason":
			c.stop = l.value()
		case "delta":
			c.chatDelta(l)
		case "message":
			c.whole = l.value()
		case "error":
			c.fault = l.value()
		case "usage":
			c.usage = l.value()
		default:
			l.value()
		}
	}
	return true
}

// chatDelta reads what a chunk adds. Some servers send the reasoning under two names, with the same words: the first one
// that says something counts.
func (c *chunk) chatDelta(l *lexer) {
	c.text, c.reasoning, c.refusal, c.role = nil, nil, nil, nil
	if !l.enter('{') {
		l.value()
		return
	}
	var short, details []byte
	for name, ok := l.member(); ok; name, ok = l.member() {
		switch string(name) {
		case "content":
			c.text = l.value()
		case "reasoning_content":
			c.reasoning = l.value()
		case "reasoning":
			short = l.value()
		case "reasoning_details":
			details = l.value()
		case "refusal":
			c.refusal = l.value()
		case "role":
			c.role = l.value()
		default:
			l.value()
		}
	}
	if len(unquote(c.reasoning)) == 0 {
		c.reasoning = short
	}
	if len(details) > 0 && details[0] == '[' && len(unquote(c.reasoning)) == 0 {
		c.reasoning = details
	}
}
