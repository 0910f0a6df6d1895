import html
import re

INLINE = [
    (re.compile(r"`([^`]+)`"), r"<code>\1</code>"),
    (re.compile(r"\*\*(.+?)\*\*"), r"<b>\1</b>"),
    (re.compile(r"\*(.+?)\*"), r"<i>\1</i>"),
    (re.compile(r"\[([^\]]+)\]\(([^)]+)\)"), r'<a href="\2">\1</a>'),
]


def inline(text):
    text = html.escape(text, quote=False)
    for pattern, by in INLINE:
        text = pattern.sub(by, text)
    return text


def blocks(lines):
    if not lines:
        return []
    head, *rest = lines
    if not head.strip():
        return blocks(rest)
    if heading := re.match(r"(#+) (.*)", head):
        level = len(heading[1])
        return [f"<h{level}>{inline(heading[2])}</h{level}>"] + blocks(rest)
    kind = "- " if head.startswith("- ") else ""
    size = next((i for i, l in enumerate(lines) if not l.strip() or not l.startswith(kind)), len(lines))
    if kind:
        items = "".join(f"<li>{inline(l[2:])}</li>" for l in lines[:size])
        return [f"<ul>{items}</ul>"] + blocks(lines[size:])
    return [f"<p>{inline(' '.join(lines[:size]))}</p>"] + blocks(lines[size:])


def main(args):
    return {"html": "\n".join(blocks(args["text"].splitlines()))}
