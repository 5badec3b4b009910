/** Sentences that have elements in them, such as a name with its own direction. */

/**
 * The nodes of a translated sentence, in which elements stand for the names in braces, in the order of its language.
 * @param {string} sentence
 * @param {Record<string, (string | Node)[]>} elements
 */
export function nodesOf(sentence, elements) {
  return sentence
    .split(/\{(\w+)\}/)
    .flatMap((text, index) => (index % 2 ? (elements[text] ?? []) : text));
}
