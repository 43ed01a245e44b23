"""Texts in Markdown: as HTML that is safe to show, and as plain text.

The dialect is CommonMark with tables, without HTML, code, references and underlined headings. What
was written as plain text looks as it did: a line break stays one, a web address becomes a link.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator

import nh3
from jinja2.utils import urlize
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

# What a person writes is far below these. Other texts are shown as plain text, since the time that
# Markdown needs can grow with the square of the number of signs and of lines.
MAX_CHARS = 60_000
_MAX_SIGNS = 3_000
_MAX_LINES = 3_000
_MAX_SHOWN_URL_CHARS = 60
_MAX_WORD_CHARS = 2_000
_TAGS = {
    *("p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote"),
    *("em", "strong", "a", "table", "thead", "tbody", "tr", "th", "td"),
}
_SCHEMES = {"http", "https", "mailto"}
_PICTURE = re.compile("image:([1-9][0-9]{0,17})")
# A line "1984. A year" is no item of a list.
_LARGE_NUMBER = re.compile(r"^([^\S\n]{0,3}[0-9]{3,9})(?=[.)](?:\s|$))", re.MULTILINE)
_SIGNS = re.compile(r"[*_\[\]<>|\\!]")
# A text without any of these is the same in Markdown. White space at the beginning of a line does
# not go on in the next one, or the time would grow with the square of the number of empty lines.
_MARKED = re.compile(r"[*_#\[\]<>|\\`]|^[^\S\n]*(?:[-+]|[0-9]+[.)])", re.MULTILINE)
_ESCAPED = re.compile(r"[*_#\[\]<>|\\`]")
_ESCAPED_START = re.compile(r"^([^\S\n]*[0-9]{0,9})([-+.)])(?=\s|-|$)", re.MULTILINE)


def make_html(text: str, draw_picture: Callable[[int, str], str] | None = None) -> str:
    """Make HTML of a text in Markdown; nothing in it can run, load or look like the hub's own.

    Links lead to ``http``, ``https`` and ``mailto`` addresses and to paths of the hub, and do not
    name the page that they are on, which may be a secret share link. The highest headings of the
    text are of the second level, as the page has its own of the first.

    :param draw_picture: returns HTML for ``![caption](image:7)`` from the number and the caption,
        "" if the picture is not to be shown. It stands on its own, after the text that names it.
        Other pictures are never shown.
    """
    if not _is_markdown(text):
        parts = re.split(r"\n[^\S\n]*\n", text.replace("\r\n", "\n").strip())
        lines = (map(_link, part.strip().split("\n")) for part in parts if part.strip())
        return "".join(f"<p>{'<br>'.join(part)}</p>" for part in lines)
    drawn: dict[str, str] = {}
    tokens: list[Token] = []
    # The pictures are put in after everything else was sanitised, in the places of random words.
    for token in _parse(text):
        if token.type == "picture":
            number = int(token.meta["number"])
            html = draw_picture(number, token.content) if draw_picture is not None else ""
            if html:
                word = f"picture-{secrets.token_hex(16)}"
                drawn[word] = html
                tokens.append(Token("html_block", "", 0, content=word))
        else:
            tokens.append(token)
    clean = nh3.clean(
        _Renderer().render(tokens, _MARKDOWN.options, {}),
        tags=_TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes=_SCHEMES,
        link_rel="noreferrer noopener",
    )
    if drawn:
        clean = re.sub("picture-[0-9a-f]{32}", lambda word: drawn.get(word[0], word[0]), clean)
    return clean.strip()


def make_plain(text: str) -> str:
    """Return the words of a text in Markdown, with an empty line between paragraphs."""
    text = text.replace("\r\n", "\n").strip()
    if not _is_markdown(text) or not _MARKED.search(text):
        return text
    parts: list[str] = []
    is_row = False
    for token in _parse(text):
        if token.type == "inline":
            words = "".join(_iter_words(token.children or ())).strip()
            if is_row and parts:
                parts[-1] = f"{parts[-1]} · {words}" if parts[-1] else words
            elif words:
                parts.append(words)
        elif token.type in ("tr_open", "tr_close"):
            is_row = token.type == "tr_open"
            if is_row:
                parts.append("")
    return "\n\n".join(part for part in parts if part)


def escape(text: str) -> str:
    """Return a plain text so that Markdown shows it as it is."""
    text = _ESCAPED.sub(r"\\\g<0>", text)
    return _ESCAPED_START.sub(r"\1\\\2", text)


def list_pictures(text: str) -> list[int]:
    """Return the numbers of the pictures in a text, each once."""
    if "image:" not in text or not _is_markdown(text):
        return []
    found = (int(token.meta["number"]) for token in _parse(text) if token.type == "picture")
    return list(dict.fromkeys(found))


def _is_markdown(text: str) -> bool:
    return (
        len(text) <= MAX_CHARS
        and len(_SIGNS.findall(text)) <= _MAX_SIGNS
        and text.count("\n") <= _MAX_LINES
    )


def _parse(text: str) -> list[Token]:
    plain = text.replace("\r\n", "\n").replace("\0", "").strip()
    return _MARKDOWN.parse(_LARGE_NUMBER.sub(r"\1\\", plain))


def _iter_words(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            yield "\n"
        elif token.type in ("text", "linked"):
            yield token.meta["text"] if token.type == "linked" else token.content


def _is_allowed(url: str) -> bool:
    """Tell whether a link may lead to an address, or a picture be at it."""
    url = url.strip()
    if url.startswith(("/", "#")):
        return not re.match(r"/[/\\]", url)
    return bool(re.match("(?:https?|mailto):", url, re.IGNORECASE) or _PICTURE.fullmatch(url))


def _link(text: str) -> str:
    """Escape a text and make links of the addresses in it."""
    is_long = any(len(word) > _MAX_WORD_CHARS for word in text.split())
    escaped = nh3.clean_text(text) if is_long else ""
    return escaped or urlize(text, _MAX_SHOWN_URL_CHARS, rel="noreferrer noopener")


def _finish(state: StateCore) -> None:
    """Link bare addresses, shift headings, and take pictures out of the lines they are in."""
    done: list[Token] = []
    pictures: list[Token] = []
    is_cell = False
    levels = [int(token.tag[1]) for token in state.tokens if token.type == "heading_open"]
    shift = 2 - min(levels, default=1)
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + shift)}"
        is_cell = token.type in ("th_open", "td_open") or (is_cell and token.type == "inline")
        if token.type != "inline":
            done.append(token)
            if token.nesting == -1 and pictures:
                done += pictures
                pictures = []
            continue
        token.children, found = _finish_line(token.children or [])
        if found and not is_cell:
            pictures = found
            if not any(child.type not in ("softbreak", "hardbreak") for child in token.children):
                token.children = []
        done.append(token)
    state.tokens = _drop_empty(done)


def _finish_line(children: list[Token]) -> tuple[list[Token], list[Token]]:
    """Return the tokens of a line without its pictures, and these."""
    kept: list[Token] = []
    pictures: list[Token] = []
    depth = 0
    for child in children:
        depth += child.nesting if child.type in ("link_open", "link_close") else 0
        if child.type == "link_open" and _PICTURE.match(str(child.attrs.get("href", ""))):
            child.attrs = {}
        if child.type == "image":
            words = "".join(_iter_words(child.children or ()))
            named = _PICTURE.fullmatch(str(child.attrs.get("src", "")))
            if named:
                pictures.append(Token("picture", "", 0, content=words, meta={"number": named[1]}))
            if not named or depth:
                kept.append(Token("text", "", 0, content=words))
        elif child.type == "text" and not depth:
            linked = Token("linked", "", 0, content=_link(child.content))
            linked.meta = {"text": child.content}
            kept.append(linked)
        else:
            kept.append(child)
    if pictures:
        kept = [c for c in kept if c.type != "linked" or c.meta["text"].strip()]
        while kept and kept[-1].type in ("softbreak", "hardbreak"):
            kept.pop()
        while kept and kept[0].type in ("softbreak", "hardbreak"):
            kept.pop(0)
    return kept, pictures


def _drop_empty(tokens: list[Token]) -> list[Token]:
    """Drop paragraphs that had nothing but pictures."""
    done: list[Token] = []
    for token in tokens:
        if (
            token.type == "paragraph_close"
            and done[-1].type == "inline"
            and not done[-1].children
            and done[-2].type == "paragraph_open"
        ):
            del done[-2:]
        else:
            done.append(token)
    return done


def _make_markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 20})
    markdown.enable("table")
    markdown.disable(
        ["code", "fence", "backticks", "entity", "html_block", "html_inline", "lheading"]
    )
    markdown.disable("reference")
    markdown.validateLink = _is_allowed  # type: ignore[method-assign]
    markdown.core.ruler.push("finish", _finish)
    return markdown


class _Renderer(RendererHTML):
    """Renders the tokens that ``_finish`` makes."""

    def linked(self, tokens: list[Token], index: int, *_: object) -> str:
        return tokens[index].content


_MARKDOWN = _make_markdown()
