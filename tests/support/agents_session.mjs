// A session of @openai/agents: node agents_session.mjs URL KEY QUESTION TEXT FOLDER; prints the answer.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [url, apiKey, question, text, folder] = process.argv.slice(2);
const require = createRequire(pathToFileURL(folder + "/"));
const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket } = await import(
  pathToFileURL(require.resolve("@openai/agents/realtime"))
);
const agent = new RealtimeAgent({ name: "reader", instructions: question });
const transport = new OpenAIRealtimeWebSocket({ url });
const session = new RealtimeSession(agent, {
  transport,
  model: "tiny",
  config: { outputModalities: ["text"] },
});
const limit = setTimeout(() => { console.error("no answer in time"); process.exit(1); }, 60000);
session.on("error", error => console.error("error", JSON.stringify(error)));
transport.on("*", event => {
  if (event.type === "response.done") {
    console.log(event.response.output[0].content[0].text);
    clearTimeout(limit);
    session.close();
    process.exit(0);
  }
});
await session.connect({ apiKey, url });
session.sendMessage(text);
