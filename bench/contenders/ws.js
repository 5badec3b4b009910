// Node and ws: each client gets the same string, as the package's own example does it.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { messageFor } from "./message.js";

const server = createServer((_, response) => response.end("ok"));
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on("connection", (socket) => {
  socket.on("message", (data) => {
    const message = messageFor(data.toString());
    for (const client of sockets.clients) if (client.readyState === 1) client.send(message);
  });
});
server.listen({ fd: Number(process.argv[2]) });
