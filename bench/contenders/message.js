// The same frame as bench/wire.py makes.
export function messageFor(text) {
  const { message, client_id } = JSON.parse(text);
  const at = new Date().toISOString();
  return JSON.stringify({
    room: "1",
    username: "bob",
    message,
    msg_type: 0,
    seq: Number(message.split(" ")[0]),
    at,
    client_id,
  });
}
