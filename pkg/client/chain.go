package client

// Stages say which stages a call has, beside those that every call has.
type Stages struct {
	Env
	// Failover has the endpoints in their order. Without it a call brings its endpoint, and there is no filter.
	Failover *Failover
	// Filter holds prompts and answers to the lists of blocked words; nil for none.
	Filter *Filter
	// Output is the command's own stage, which shows an answer and checks it; nil for none.
	Output func(next Doer) Doer
	// Conversation is the one that the call is a part of; nil for none.
	Conversation *Conversation
	// Audit writes each call into the log; nil for none.
	Audit *AuditLog
}

// Chain puts the stages together. The last one here is the outermost.
func Chain(s Stages) Doer {
	var d Doer = &attemptStage{&s.Env}
	d = &limitStage{&s.Env, d}
	d = &retryStage{&s.Env, d}
	d = &budgetStage{d}
	if s.Failover != nil {
		d = &failoverStage{s.Failover, d}
	}
	if s.Filter != nil {
		d = &answerFilter{s.Filter, d}
	}
	if s.Output != nil {
		d = s.Output(d)
	}
	if s.Conversation != nil {
		d = &conversationStage{s.Conversation, s.Failover.Candidates[0], d}
	}
	if s.Filter != nil {
		d = &promptFilter{s.Filter, s.Failover.Candidates[0], d}
	}
	if s.Audit != nil {
		d = &auditStage{s.Audit, d}
	}
	return d
}
