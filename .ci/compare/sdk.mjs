// Sends one message with the official client, like a user's smallest program.
import Anthropic from "../../testdata/sdk/node_modules/@anthropic-ai/sdk/index.mjs";

const client = new Anthropic({
  apiKey: process.env.GATEWAY_KEY,
  baseURL: process.env.GATEWAY_URL,
  maxRetries: 0,
});
const message = await client.messages.create({
  model: "claude-haiku-5-5",
  max_tokens: 100,
  messages: [{ role: "user", content: "hi" }],
});
process.stdout.write(message.content[0].text);
