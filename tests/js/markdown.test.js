import assert from "node:assert/strict";
import { test } from "node:test";
import { asMarkdown } from "../../static/chat/model/markdown.js";

const WORDS = {
  linkTo: ({ seq }) => `https://chat.example/?at=1.${seq}`,
  time: ({ at }) => at,
  author: ({ username }) => username,
};

test("messages are written as Markdown with a link each, deleted ones left out", () => {
  const messages = [
    { seq: 1, username: "bob_b", at: "9:18", text: "**a**\n- b", deleted: false },
    { seq: 2, username: "eve", at: "9:19", text: null, deleted: true },
    { seq: 3, username: "alice", at: "9:20", text: "c", deleted: false },
  ];
  assert.equal(
    asMarkdown(messages, WORDS),
    "**bob\\_b** · [9:18](https://chat.example/?at=1.1)\n\n**a**\n- b\n\n" +
      "**alice** · [9:20](https://chat.example/?at=1.3)\n\nc\n",
  );
});
