// One node of bun's WebSocket server, with Redis between the nodes:
// `bun bun.js PORT REDIS_PORT`. What a client sends reaches everyone.
import { RedisClient } from "bun";

const [port, redis] = process.argv.slice(2).map(Number);
const publisher = new RedisClient(`redis://127.0.0.1:${redis}`);
const subscriber = new RedisClient(`redis://127.0.0.1:${redis}`);

const server = Bun.serve({
  port,
  hostname: "127.0.0.1",
  fetch(request, server) {
    if (server.upgrade(request)) return undefined;
    return new Response("ok\n");
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      socket.subscribe("load");
    },
    message(_, message) {
      publisher.publish("load", message);
    },
  },
});

await subscriber.connect();
await subscriber.subscribe("load", (message) => server.publish("load", message));
