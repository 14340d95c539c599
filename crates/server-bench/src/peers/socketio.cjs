// One node of Socket.IO with its Redis adapter: `node socketio.cjs PORT REDIS_PORT`.
// A client joins with `join`, and what it sends with `pub` reaches everyone as `msg`.
const { createServer } = require("node:http");
const { createClient } = require("redis");
const { createAdapter } = require("@socket.io/redis-adapter");
const { Server } = require("socket.io");

const [port, redis] = process.argv.slice(2).map(Number);

async function main() {
  const publisher = createClient({ url: `redis://127.0.0.1:${redis}` });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const http = createServer((_, response) => response.end("ok\n"));
  const io = new Server(http, {
    adapter: createAdapter(publisher, subscriber),
    transports: ["websocket"],
    perMessageDeflate: false,
  });
  io.on("connection", (socket) => {
    socket.on("join", (joined) => {
      socket.join("load");
      joined();
    });
    socket.on("pub", (data) => io.to("load").emit("msg", data));
  });
  http.listen(port, "127.0.0.1");
}

main();
