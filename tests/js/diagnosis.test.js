import assert from "node:assert/strict";
import { test } from "node:test";
import { causeWords, diagnose } from "../../static/chat/model/diagnosis.js";
import { barWords } from "../../static/chat/model/strings.js";

globalThis.location = { origin: "https://chat.example.com", hostname: "chat.example.com" };

const answers = (status, report = {}) => ({ status, json: async () => report });
const cases = [
  ["no answer", () => Promise.reject(new TypeError("Failed to fetch")), { cause: "silent" }],
  ["a proxy without a server", () => answers(502), { cause: "gateway", status: 502 }],
  ["too large cookies", (sent) => answers(sent ? 431 : 200), { cause: "cookies" }],
  ["too large cookies, as nginx says", (sent) => answers(sent ? 400 : 200), { cause: "cookies" }],
  ["a request that is refused without cookies too", () => answers(400), { cause: "socket" }],
  [
    "an answer that is no JSON",
    () => ({ status: 200, json: () => JSON.parse("<") }),
    { cause: "silent" },
  ],
  [
    "a wrong Host",
    () => answers(200, { refused: "host", host: "10.0.0.1" }),
    { cause: "host", host: "10.0.0.1" },
  ],
  [
    "a foreign Origin",
    () => answers(200, { refused: "origin", host: "x" }),
    { cause: "origin", host: "x" },
  ],
  [
    "a proxy without WebSockets",
    () => answers(200, { refused: null, host: "x" }),
    { cause: "socket", host: "x" },
  ],
];

for (const [name, fetchCheck, diagnosis] of cases)
  test(`${name} is told apart`, async () => {
    assert.deepEqual(await diagnose(async (sent) => fetchCheck(sent)), diagnosis);
  });

test("each cause has a sentence of its own, which names the setting or the name", () => {
  const causes = ["silent", "gateway", "cookies", "host", "name", "scheme", "origin", "socket"];
  const sentences = causes.map((cause) => causeWords({ cause, host: "10.0.0.1", status: 502 }));
  assert.equal(new Set(sentences).size, causes.length);
  for (const [i, words] of [
    [1, "502"],
    [3, "10.0.0.1"],
    [4, "ALLOWED_HOSTS"],
    [5, "HTTPS=on"],
    [6, "CSRF_TRUSTED_ORIGINS"],
  ])
    assert.match(sentences[i], new RegExp(words));
  assert.match(barWords(sentences[0], { wait: 0, isOnline: false })[0], /device is offline/);
  assert.deepEqual(barWords("", { wait: 1500, isOnline: true })[1], "Next try in 2 s");
  const [sentence] = barWords(sentences[0], { wait: 0, isOnline: true });
  assert.equal(sentence, `${sentences[0]} What you send is kept until you're connected.`);
});
