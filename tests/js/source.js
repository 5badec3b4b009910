/** Reads the page's modules for rules about their source. */

const TOKENS = {
  space: /\s+/uy,
  comment: /\/\/.*|\/\*[\s\S]*?\*\//uy,
  string: /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/uy,
  // A piece of a template ends at `${` or at its end. What is between two pieces are tokens of their own.
  template: /`(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/uy,
  pattern: /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/uy,
  word: /[\p{L}\p{N}_$#@]+/uy,
  sign: /./uy,
};
const REST_OF_TEMPLATE = /\}(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/uy;
/** After these, a slash begins a pattern; after others, it divides. */
const BEFORE_PATTERN = /^(?:[([{},;:=!&|?+>]|return)$/;

/**
 * The tokens of a module, without space and comments.
 * @param {string} source
 * @returns {{kind: keyof typeof TOKENS, text: string, at: number}[]}
 */
export function tokensOf(source) {
  const tokens = [];
  /** The open braces: whether each is of a template. */
  const braces = [];
  for (let at = 0; at < source.length; ) {
    const { kind, text } = tokenAt(source, at, tokens.at(-1)?.text ?? ";", braces.at(-1));
    if (text.startsWith("}")) braces.pop();
    if (text === "{" || (kind === "template" && text.endsWith("${")))
      braces.push(kind === "template");
    if (kind !== "space" && kind !== "comment") tokens.push({ kind, text, at });
    at += text.length;
  }
  return tokens;
}

function tokenAt(source, at, previous, isInTemplate) {
  const match = (pattern) => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  const rest = isInTemplate ? match(REST_OF_TEMPLATE) : undefined;
  if (rest !== undefined) return { kind: "template", text: rest };
  for (const [kind, pattern] of Object.entries(TOKENS)) {
    if (kind === "pattern" && !BEFORE_PATTERN.test(previous)) continue;
    const text = match(pattern);
    if (text !== undefined) return { kind, text };
  }
  throw new Error(`no token at ${at}`);
}

/** What a string or a piece of a template says. @param {{text: string}} token */
export function textOf({ text }) {
  const inner = text.slice(1).replace(/(?:["'`]|\$\{)$/, "");
  return inner.replace(/\\u([0-9a-f]{4})|\\n|\\(.)/giu, (whole, code, character) =>
    code ? String.fromCharCode(Number.parseInt(code, 16)) : whole === "\\n" ? "\n" : character,
  );
}
