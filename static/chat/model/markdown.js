/** Writes messages as Markdown, to be pasted into a document: who, when, a link to each, and the text as typed. */

/** @import {Message} from "./room_log.js" */

/**
 * @param {Message[]} messages
 * @param {{linkTo: (message: Message) => string, time: (message: Message) => string, author: (message: Message) => string}} words
 */
export function asMarkdown(messages, { linkTo, time, author }) {
  return messages
    .filter(({ deleted }) => !deleted)
    .map(
      (message) =>
        `**${escaped(author(message))}** · [${time(message)}](${linkTo(message)})\n\n${message.text ?? ""}\n`,
    )
    .join("\n");
}

/** A name is no markup. @param {string} name */
function escaped(name) {
  return name.replace(/[\\`*_[\]<>~]/g, "\\$&");
}
