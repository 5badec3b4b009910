import assert from "node:assert/strict";
import { test } from "node:test";
import { JUMP_WAITS } from "../../static/chat/model/strings.js";
import { Jumps } from "../../static/chat/page/jumps.js";

test("what is loaded is shown in place of what was jumped to before", () => {
  const done = [];
  const list = { isAtHead: true, newLine: { isShown: true }, scrollToNew: () => done.push("new") };
  const pane = {
    list,
    scrollToBottom: () => done.push("bottom"),
    dropTrouble: (trouble) => done.push(trouble),
  };
  const jumps = new Jumps(
    { get: () => pane },
    { workspace: { cancelJump: (room) => done.push(`cancelled in ${room}`) }, readOf: () => 7 },
  );
  jumps.jumpToNewest("1");
  jumps.jumpToNew("1");
  const before = ["cancelled in 1", JUMP_WAITS];
  assert.deepEqual(done, [...before, "bottom", ...before, "new"]);
});
