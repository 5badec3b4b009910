// socket.io: a room that all have joined, over WebSocket alone.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { messageFor } from "./message.js";

const server = createServer((_, response) => response.end("ok"));
const io = new Server(server, {
  transports: ["websocket"],
  pingInterval: 600_000,
  perMessageDeflate: false,
});
io.on("connection", (socket) => {
  socket.on("join", (room) => {
    socket.join(room);
    socket.emit("joined", room);
  });
  socket.on("send", (text) => io.to("1").emit("message", messageFor(text)));
});
server.listen({ fd: Number(process.argv[2]) });
