package wire

// chunk holds the raw values of one event's data that the dialects look for; nil where they are not there. Of a name
// that comes twice the last one counts, as in encoding/json.
type chunk struct {
	kind, id, model, usage, fault, status []byte

	// Of messages: the message of message_start, the block of content_block_start and what a delta says it is.
	message, block, delta []byte
	// What was said: Complete's completion is text too.
	text, reasoning, refusal []byte
	// stop is the stop_reason or finish_reason.
	stop []byte
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
		default:
			c.member(a, &l, name)
		}
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
			c.choices(l)
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
	l.object(func(name []byte) *[]byte {
		switch string(name) {
		case "type":
			return &c.delta
		case "text":
			return &c.text
		case "thinking":
			return &c.reasoning
		case "stop_reason":
			return &c.stop
		}
		return nil
	})
}

// choices keeps the choice of index 0, the first where there are two of it: ferry asks for one, and a server that was
// made to send more sends other answers to the same prompt.
func (c *chunk) choices(l *lexer) {
	c.text, c.reasoning, c.refusal, c.stop = nil, nil, nil, nil
	if !l.enter('[') {
		l.value()
		return
	}
	found := false
	for l.more(']') {
		var one chunk
		if one.choice(l) && !found {
			found = true
			c.text, c.reasoning, c.refusal, c.stop = one.text, one.reasoning, one.refusal, one.stop
		}
	}
}

// choice reads one choice, and reports whether its index is 0. One without an index is the only one.
func (c *chunk) choice(l *lexer) bool {
	if !l.enter('{') {
		l.value()
		return false
	}
	var index []byte
	for name, ok := l.member(); ok; name, ok = l.member() {
		switch string(name) {
		case "index":
			index = l.value()
		case "finish_reason":
			c.stop = l.value()
		case "delta":
			c.chatDelta(l)
		default:
			l.value()
		}
	}
	return len(index) == 0 || string(index) == "0" || string(index) == "null"
}

func (c *chunk) chatDelta(l *lexer) {
	c.text, c.reasoning, c.refusal = nil, nil, nil
	var short []byte
	l.object(func(name []byte) *[]byte {
		switch string(name) {
		case "content":
			return &c.text
		case "reasoning_content":
			return &c.reasoning
		case "reasoning":
			return &short
		case "refusal":
			return &c.refusal
		}
		return nil
	})
	if len(unquote(c.reasoning)) == 0 { // some servers send both names, with the same words
		c.reasoning = short
	}
}
