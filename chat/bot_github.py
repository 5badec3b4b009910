"""Describes GitHub's events in sentences with links, in the active language. Other events post nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

MAX_COMMITS = 5
MAX_LINE = 200
# The actions that matter to the readers of a room. Labels, assignments and the like post nothing.
ISSUES = {
    "opened": _("{who} opened issue {what} in {repository}"),
    "closed": _("{who} closed issue {what} in {repository}"),
    "reopened": _("{who} reopened issue {what} in {repository}"),
}
PULL_REQUESTS = {
    "opened": _("{who} opened pull request {what} in {repository}"),
    "closed": _("{who} closed pull request {what} in {repository}"),
    "merged": _("{who} merged pull request {what} in {repository}"),
    "reopened": _("{who} reopened pull request {what} in {repository}"),
    "ready_for_review": _("{who} marked pull request {what} in {repository} as ready for review"),
}
DELETED = {
    "branch": _("{who} deleted branch {name} in {repository}"),
    "tag": _("{who} deleted tag {name} in {repository}"),
}
CREATED = {
    "branch": _("{who} created branch {name} in {repository}"),
    "tag": _("{who} created tag {name} in {repository}"),
}

Fields = Mapping[str, Any]


def lines(event: str, content: Fields) -> Iterator[str]:
    """Yield the message of an event, if it posts one."""
    repository, sender = _at(content, "repository", "full_name"), _at(content, "sender", "login")
    action = _at(content, "action")
    known = {"who": sender, "repository": repository}
    match event:
        case "ping":
            source = repository or _at(content, "organization", "login") or gettext("this hook")
            yield gettext("GitHub is connected: {source} will post here.").format(source=source)
        case "push":
            yield from _push(content, repository)
        case "issues" if action in ISSUES:
            yield str(ISSUES[action]).format(what=_subject(content, "issue"), **known)
        case "pull_request" if action in PULL_REQUESTS:
            request = content.get("pull_request")
            is_merged = action == "closed" and isinstance(request, dict) and request.get("merged") is True
            sentence = PULL_REQUESTS["merged" if is_merged else action]
            yield str(sentence).format(what=_subject(content, "pull_request"), **known)
        case "issue_comment" if action == "created":
            what = _subject(content, "issue", link_of="comment")
            yield gettext("{who} commented on {what} in {repository}").format(what=what, **known)
        case "release" if action == "published":
            name = _at(content, "release", "name") or _at(content, "release", "tag_name")
            what = link(name, _at(content, "release", "html_url"))
            yield gettext("{who} released {what} of {repository}").format(what=what, **known)


def _push(content: Fields, repository: str) -> Iterator[str]:
    ref, compare = _at(content, "ref"), _at(content, "compare")
    branch = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    kind = "tag" if ref.startswith("refs/tags/") else "branch"
    known = {"who": _at(content, "pusher", "name") or _at(content, "sender", "login"), "repository": repository}
    if content.get("deleted") is True:
        yield str(DELETED[kind]).format(name=branch, **known)
        return
    if content.get("created") is True and not content.get("commits"):
        # As GitHub says it of a tag, and of a branch without commits of its own.
        yield str(CREATED[kind]).format(name=link(branch, compare), **known)
        return
    given = content.get("commits")
    commits = [commit for commit in given if isinstance(commit, dict)] if isinstance(given, list) else []
    count = ngettext("{count} commit", "{count} commits", len(commits)).format(count=len(commits))
    is_forced = content.get("forced") is True and content.get("created") is not True
    sentence = (
        gettext("{who} force-pushed {commits} to {branch} in {repository}")
        if is_forced
        else gettext("{who} pushed {commits} to {branch} in {repository}")
    )
    shown = [sentence.format(commits=link(count, compare), branch=branch, **known)]
    for commit in commits[:MAX_COMMITS]:
        title = (_at(commit, "message").splitlines() or [""])[0]
        shown.append(f"- {link(_at(commit, 'id')[:7], _at(commit, 'url'))} {title[:MAX_LINE]}")
    if (more := len(commits) - MAX_COMMITS) > 0:
        shown.append("- " + ngettext("… and {count} more", "… and {count} more", more).format(count=more))
    yield "\n".join(shown)


def _subject(content: Fields, name: str, *, link_of: str = "") -> str:
    """Return the number and title of an issue or a pull request, as a link to it or to its comment."""
    subject = content.get(name)
    number = subject.get("number") if isinstance(subject, dict) else None
    title = f"#{number} {_at(content, name, 'title')[:MAX_LINE]}"
    return link(title, _at(content, link_of or name, "html_url"))


def link(text: str, address: str) -> str:
    """Return a link as messages write it. A text or an address that would break it stands as it is."""
    if not address.startswith(("https://", "http://")) or any(sign in address for sign in "() \n"):
        return text
    if any(sign in text for sign in "[]\n"):
        return f"{text} {address}"
    return f"[{text}]({address})"


def _at(content: Any, *names: str) -> str:
    """Return the text at a path, or an empty one."""
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, str) else ""
