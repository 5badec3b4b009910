import assert from "node:assert/strict";
import { test } from "node:test";
import { MentionSearch } from "../../static/chat/model/mention_search.js";

const PAGE = { mentioned: [], next: 7 };

test("each question gets its own answer, and the next page begins where the last one ended", async () => {
  const sent = [];
  const search = new MentionSearch((command) => sent.push(command) > 0);
  const first = search.find();
  const second = search.find(7);
  assert.deepEqual(sent, [
    { command: "mentions", limit: 20 },
    { command: "mentions", limit: 20, before: 7 },
  ]);
  search.answered(PAGE);
  search.refused();
  assert.deepEqual([await first, await second], [PAGE, null]);
});

test("there is no answer while offline, and none after the connection was lost", async () => {
  let isOnline = false;
  const search = new MentionSearch(() => isOnline);
  assert.equal(await search.find(), null);
  isOnline = true;
  const lost = search.find();
  search.connectionLost();
  assert.equal(await lost, null);
  search.answered(PAGE);
});
