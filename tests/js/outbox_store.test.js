import assert from "node:assert/strict";
import { test } from "node:test";
import { Drafts } from "../../static/chat/model/drafts.js";
import { Outbox } from "../../static/chat/model/outbox.js";
import { openStore } from "../../static/chat/model/outbox_store.js";
import { Tabs } from "../../static/chat/model/tabs.js";

const refuse = () => {
  throw new DOMException("", "SecurityError");
};
const useless = {
  "it is null": () => null,
  "it is undefined": () => undefined,
  "asking for it throws": refuse,
  "everything in it throws": () => new Proxy({}, { get: refuse }),
};

for (const [name, open] of Object.entries(useless))
  test(`without storage texts are sent and drafts stand, and the risk is known: ${name}`, () => {
    const sent = [];
    const store = openStore(open);
    assert.equal(store.length, 0);
    const outbox = new Outbox(7, { store, send: (command) => sent.push(command) > 0 });
    outbox.roomJoined("1");
    outbox.add("1", "a");
    assert.equal(outbox.isAtRisk, true);
    outbox.settle(sent[0].client_id);
    assert.equal(outbox.isAtRisk, false);
    const drafts = new Drafts(7, { store, tabs: new Tabs(undefined, open) });
    drafts.saveDraft("1", "half");
    assert.equal(drafts.draftOf("1").text, "half");
    assert.equal(drafts.isAtRisk, true);
    drafts.clear();
    assert.equal(drafts.isAtRisk, false);
  });
