"""Says GitHub's events in a sentence with a link. Events that nobody waits for say nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

MAX_COMMITS = 5
MAX_LINE = 200
# The actions that change what people see. Labels, assignments and the like say nothing.
ISSUE_ACTIONS = ("opened", "closed", "reopened")
PULL_REQUEST_ACTIONS = (*ISSUE_ACTIONS, "ready_for_review")

Fields = Mapping[str, Any]


def lines(event: str, content: Fields) -> Iterator[str]:
    """Yield the message of an event, if it says something."""
    repository, sender = _at(content, "repository", "full_name"), _at(content, "sender", "login")
    action = _at(content, "action")
    match event:
        case "ping":
            source = repository or _at(content, "organization", "login") or "this hook"
            yield f"GitHub is connected: {source} will post here."
        case "push":
            yield from _push(content, repository)
        case "issues" if action in ISSUE_ACTIONS:
            yield _about(content, "issue", f"{sender} {action} issue", repository)
        case "pull_request" if action in PULL_REQUEST_ACTIONS:
            is_merged = action == "closed" and content.get("pull_request", {}).get("merged") is True
            done = "merged" if is_merged else "marked as ready" if action == "ready_for_review" else action
            yield _about(content, "pull_request", f"{sender} {done} pull request", repository)
        case "issue_comment" if action == "created":
            yield _about(content, "issue", f"{sender} commented on", repository, link_of="comment")
        case "release" if action == "published":
            name = _at(content, "release", "name") or _at(content, "release", "tag_name")
            yield f"{sender} released {link(name, _at(content, 'release', 'html_url'))} of {repository}"


def _push(content: Fields, repository: str) -> Iterator[str]:
    ref = _at(content, "ref")
    branch = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    kind = "tag" if ref.startswith("refs/tags/") else "branch"
    pusher = _at(content, "pusher", "name") or _at(content, "sender", "login")
    if content.get("deleted") is True:
        yield f"{pusher} deleted {kind} {branch} in {repository}"
        return
    if content.get("created") is True and not content.get("commits"):
        # As GitHub says it of a tag, and of a branch without commits of its own.
        yield f"{pusher} created {kind} {link(branch, _at(content, 'compare'))} in {repository}"
        return
    commits = [commit for commit in content.get("commits") or () if isinstance(commit, dict)]
    count = f"{len(commits)} commit{'' if len(commits) == 1 else 's'}"
    pushed = "force-pushed" if content.get("forced") is True and content.get("created") is not True else "pushed"
    shown = [f"{pusher} {pushed} {link(count, _at(content, 'compare'))} to {branch} in {repository}"]
    for commit in commits[:MAX_COMMITS]:
        title = (_at(commit, "message").splitlines() or [""])[0]
        shown.append(f"- {link(_at(commit, 'id')[:7], _at(commit, 'url'))} {title[:MAX_LINE]}")
    if len(commits) > MAX_COMMITS:
        shown.append(f"- … and {len(commits) - MAX_COMMITS} more")
    yield "\n".join(shown)


def _about(content: Fields, name: str, did: str, repository: str, *, link_of: str = "") -> str:
    subject = content.get(name)
    number = subject.get("number") if isinstance(subject, dict) else None
    title = f"#{number} {_at(content, name, 'title')[:MAX_LINE]}"
    return f"{did} {link(title, _at(content, link_of or name, 'html_url'))} in {repository}"


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
