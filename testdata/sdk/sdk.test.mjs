// Runs the official JavaScript clients against a demo node: they must accept the node's answers, errors and streams.
// Start a node (`ferry demo`), set FERRY_DEMO_URL to its address, then:
//
//	npm ci && FERRY_DEMO_URL=http://127.0.0.1:8080 npm test
//
// A base URL with a query does not work in these clients; the faults are passed as the query of each request.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

const base = process.env.FERRY_DEMO_URL?.replace(/\/+$/, '');
if (!base) throw new Error('FERRY_DEMO_URL is not set: it is the address of a demo node');

// A node counts requests per query string. The nonce gives every use of a query its own count, even if the node has
// served an earlier run.
let serial = 0;
const nonce = () => `${process.pid}-${Date.now()}-${++serial}`;
const query = (faults = {}) => ({ query: { ...faults, nonce: nonce() } });

// seen counts the requests that were sent, retries included.
let seen = 0;
const counting = (...args) => {
  seen++;
  return fetch(...args);
};

const anthropic = new Anthropic({ apiKey: 'sk-demo-anthropic', baseURL: base, maxRetries: 0, fetch: counting, logLevel: 'off' });
const openai = new OpenAI({ apiKey: 'sk-demo-openai', baseURL: `${base}/v1`, maxRetries: 0, fetch: counting, logLevel: 'off' });

const ask = { model: 'claude-haiku-5-5', max_tokens: 400, messages: [{ role: 'user', content: '你好, demo' }] };
const chat = { model: 'qwen-plus', messages: [{ role: 'user', content: '你好, demo' }] };

// A PNG file of one pixel, and the shortest PDF.
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const pdf = 'JVBERi0xLjQKJeLjz9MKJSVFT0YK';

// rejected returns the error of a promise that must fail.
async function rejected(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  assert.fail('the request succeeded');
}

describe('anthropic: answers', () => {
  test('a message', async () => {
    const message = await anthropic.messages.create(ask, query());
    assert.equal(message.type, 'message');
    assert.equal(message.role, 'assistant');
    assert.equal(message.model, ask.model);
    assert.equal(message.stop_reason, 'end_turn');
    assert.match(message.content[0].text, /「你好, demo」/);
    assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
    assert.match(message._request_id, /^req_/);
  });

  test('a message cut by max_tokens', async () => {
    const message = await anthropic.messages.create({ ...ask, max_tokens: 5 }, query());
    assert.equal(message.stop_reason, 'max_tokens');
    assert.equal(message.usage.output_tokens, 5);
  });

  test('a picture and a document', async () => {
    const source = (media_type, data) => ({ type: 'base64', media_type, data });
    const content = [
      { type: 'image', source: source('image/png', png) },
      { type: 'document', source: source('application/pdf', pdf) },
      { type: 'text', text: 'what is it' },
    ];
    const message = await anthropic.messages.create({ ...ask, messages: [{ role: 'user', content }] }, query());
    assert.match(message.content[0].text, /\[image\/png of 70 bytes\]\n\[application\/pdf of 21 bytes\]\nwhat is it/);
    content[0].source.media_type = 'image/jpeg';
    const error = await rejected(anthropic.messages.create({ ...ask, messages: [{ role: 'user', content }] }, query()));
    assert.ok(error instanceof Anthropic.BadRequestError, String(error));
  });

  test('rate limits in the headers', async () => {
    const { response } = await anthropic.messages.create(ask, query()).withResponse();
    for (const of of ['requests', 'tokens', 'input-tokens', 'output-tokens']) {
      const header = (what) => response.headers.get(`anthropic-ratelimit-${of}-${what}`);
      assert.ok(Number(header('limit')) >= Number(header('remaining')));
      assert.ok(Date.parse(header('reset')) > Date.now());
    }
  });

  test('the list of models', async () => {
    const ids = [];
    for await (const model of anthropic.models.list()) {
      assert.equal(model.type, 'model');
      assert.ok(model.display_name && Date.parse(model.created_at));
      ids.push(model.id);
    }
    assert.ok(ids.includes('claude-haiku-5-5'));
  });
});

describe('anthropic: errors', () => {
  for (const [status, type, kind] of [
    [400, 'invalid_request_error', Anthropic.BadRequestError],
    [401, 'authentication_error', Anthropic.AuthenticationError],
    [402, 'billing_error', Anthropic.APIError],
    [403, 'permission_error', Anthropic.PermissionDeniedError],
    [404, 'not_found_error', Anthropic.NotFoundError],
    [409, 'conflict_error', Anthropic.ConflictError],
    [413, 'request_too_large', Anthropic.APIError],
    [429, 'rate_limit_error', Anthropic.RateLimitError],
    [500, 'api_error', Anthropic.InternalServerError],
    [504, 'timeout_error', Anthropic.InternalServerError],
    [529, 'overloaded_error', Anthropic.InternalServerError],
  ]) {
    test(`${status} is a ${kind.name}`, async () => {
      const error = await rejected(anthropic.messages.create(ask, query({ status })));
      assert.ok(error instanceof kind, String(error));
      assert.equal(error.status, status);
      assert.equal(error.type, type);
      assert.match(error.requestID, /^req_/);
      assert.equal(error.error.request_id, error.requestID);
    });
  }

  test('no key at all', async () => {
    const error = await rejected(anthropic.messages.create(ask, { ...query(), headers: { authorization: null, 'x-api-key': ' ' } }));
    assert.ok(error instanceof Anthropic.AuthenticationError, String(error));
  });

  test('temperature is refused under 2026-10-21 and taken under 2023-06-01', async () => {
    const warm = { ...ask, temperature: 0.5 };
    const error = await rejected(anthropic.messages.create(warm, query()));
    assert.ok(error instanceof Anthropic.BadRequestError, String(error));
    assert.match(error.apiMessage, /temperature: Extra inputs are not permitted/);
    const message = await anthropic.messages.create(warm, { ...query(), headers: { 'anthropic-version': '2023-06-01' } });
    assert.equal(message.type, 'message');
  });

  test('a 429 that the client retries by itself', async () => {
    const before = seen;
    const message = await anthropic.messages.create(ask, { ...query({ status: '429,200', 'retry-after': '0' }), maxRetries: 2 });
    assert.equal(message.stop_reason, 'end_turn');
    assert.equal(seen - before, 2);
  });

  test('a connection that is reset', async () => {
    const error = await rejected(anthropic.messages.create(ask, query({ reset: '' })));
    assert.ok(error instanceof Anthropic.APIConnectionError, String(error));
  });

  test('an answer that never comes', async () => {
    const error = await rejected(anthropic.messages.create(ask, { ...query({ stall: '' }), timeout: 200 }));
    assert.ok(error instanceof Anthropic.APIConnectionTimeoutError, String(error));
  });
});

describe('anthropic: streams', () => {
  test('events in order', async () => {
    const types = [];
    for await (const event of await anthropic.messages.create({ ...ask, stream: true }, query())) {
      if (types.at(-1) !== event.type) types.push(event.type);
    }
    assert.deepEqual(types, [
      'message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop',
    ]);
  });

  test('the same text as without a stream', async () => {
    const whole = await anthropic.messages.create(ask, query());
    const stream = anthropic.messages.stream(ask, query());
    let text = '';
    stream.on('text', (piece) => (text += piece));
    const message = await stream.finalMessage();
    assert.equal(text, whole.content[0].text);
    assert.deepEqual(message.content, whole.content);
    assert.deepEqual(message.usage, whole.usage);
    assert.equal(message.stop_reason, whole.stop_reason);
  });

  test('left in the middle', async () => {
    const stream = anthropic.messages.stream(ask, query({ pace: '20ms' }));
    let pieces = 0;
    stream.on('text', () => {
      if (++pieces === 2) stream.abort();
    });
    const error = await rejected(stream.finalMessage());
    assert.ok(error instanceof Anthropic.APIUserAbortError, String(error));
    assert.equal(pieces, 2);
  });

  test('an error event after 200', async () => {
    const stream = anthropic.messages.stream(ask, query({ 'error-event': '' }));
    let text = '';
    stream.on('text', (piece) => (text += piece));
    const error = await rejected(stream.finalMessage());
    assert.ok(error instanceof Anthropic.APIError, String(error));
    assert.equal(error.type, 'overloaded_error');
    assert.ok(text.length > 0);
  });

  test('a 429 before it that the client retries by itself', async () => {
    const stream = anthropic.messages.stream(ask, { ...query({ status: '429,200', 'retry-after': '0' }), maxRetries: 2 });
    const message = await stream.finalMessage();
    assert.equal(message.stop_reason, 'end_turn');
  });

  test('a stream that is cut', async () => {
    const error = await rejected(anthropic.messages.stream(ask, query({ truncate: '' })).finalMessage());
    assert.ok(error instanceof Error);
  });
});

describe('openai: answers', () => {
  test('a completion', async () => {
    const completion = await openai.chat.completions.create(chat, query());
    assert.equal(completion.object, 'chat.completion');
    assert.equal(completion.model, chat.model);
    assert.equal(completion.choices[0].finish_reason, 'stop');
    assert.match(completion.choices[0].message.content, /「你好, demo」/);
    const { prompt_tokens, completion_tokens, total_tokens } = completion.usage;
    assert.equal(total_tokens, prompt_tokens + completion_tokens);
    assert.match(completion._request_id, /^req_/);
  });

  test('a picture', async () => {
    const content = [
      { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
      { type: 'text', text: 'what is it' },
    ];
    const completion = await openai.chat.completions.create({ ...chat, messages: [{ role: 'user', content }] }, query());
    assert.match(completion.choices[0].message.content, /\[image\/png of 70 bytes\]\nwhat is it/);
    content[0].image_url.url = 'https://example.com/a.png'; // nothing is fetched
    const error = await rejected(openai.chat.completions.create({ ...chat, messages: [{ role: 'user', content }] }, query()));
    assert.ok(error instanceof OpenAI.BadRequestError, String(error));
  });

  test('a completion cut by max_completion_tokens', async () => {
    const completion = await openai.chat.completions.create({ ...chat, max_completion_tokens: 5 }, query());
    assert.equal(completion.choices[0].finish_reason, 'length');
    assert.equal(completion.usage.completion_tokens, 5);
  });

  test('the list of models', async () => {
    const ids = [];
    for await (const model of openai.models.list()) {
      assert.equal(model.object, 'model');
      ids.push(model.id);
    }
    assert.ok(ids.includes('qwen-plus'));
  });
});

describe('openai: errors', () => {
  for (const [status, type, code, kind] of [
    [400, 'invalid_request_error', null, OpenAI.BadRequestError],
    [401, 'invalid_request_error', 'invalid_api_key', OpenAI.AuthenticationError],
    [404, 'invalid_request_error', null, OpenAI.NotFoundError],
    [429, 'requests', 'rate_limit_exceeded', OpenAI.RateLimitError],
    [503, 'server_error', null, OpenAI.InternalServerError],
  ]) {
    test(`${status} is a ${kind.name}`, async () => {
      const error = await rejected(openai.chat.completions.create(chat, query({ status })));
      assert.ok(error instanceof kind, String(error));
      assert.equal(error.status, status);
      assert.equal(error.type, type);
      assert.equal(error.code, code);
      assert.match(error.requestID, /^req_/);
    });
  }

  test('a bad field is named', async () => {
    const error = await rejected(openai.chat.completions.create({ ...chat, model: '' }, query()));
    assert.ok(error instanceof OpenAI.BadRequestError, String(error));
    assert.equal(error.param, 'model');
  });
});

describe('openai: streams', () => {
  test('the same text as without a stream, and the usage in the last chunk', async () => {
    const whole = await openai.chat.completions.create(chat, query());
    const stream = await openai.chat.completions.create({ ...chat, stream: true, stream_options: { include_usage: true } }, query());
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const last = chunks.pop();
    assert.deepEqual(last.choices, []);
    assert.deepEqual(last.usage, whole.usage);
    assert.ok(chunks.every((chunk) => chunk.usage === null));
    assert.equal(chunks[0].choices[0].delta.role, 'assistant');
    assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
    assert.equal(chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join(''), whole.choices[0].message.content);
  });

  test('left in the middle', async () => {
    const stream = await openai.chat.completions.create({ ...chat, stream: true }, query({ pace: '20ms' }));
    let pieces = 0;
    for await (const chunk of stream) {
      assert.ok(chunk.choices.length <= 1);
      if (++pieces === 3) stream.controller.abort();
    }
    assert.equal(pieces, 3);
  });

  test('a 429 before it that the client retries by itself', async () => {
    const options = { ...query({ status: '429,200', 'retry-after': '0' }), maxRetries: 2 };
    const stream = openai.chat.completions.stream(chat, options);
    assert.match(await stream.finalContent(), /demo/);
  });

  test("the client's own accumulator", async () => {
    const whole = await openai.chat.completions.create(chat, query());
    const stream = openai.chat.completions.stream(chat, query());
    assert.equal(await stream.finalContent(), whole.choices[0].message.content);
  });

  test('an error after 200', async () => {
    const stream = await openai.chat.completions.create({ ...chat, stream: true }, query({ 'error-event': '' }));
    const error = await rejected((async () => {
      for await (const chunk of stream) assert.ok(chunk.id);
    })());
    assert.ok(error instanceof OpenAI.APIError, String(error));
    assert.equal(error.type, 'server_error');
  });
});

after(() => assert.ok(seen > 0, 'no request was sent'));
