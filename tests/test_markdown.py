"""Texts in Markdown: what they look like, and that nothing in them can run."""

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagehub.markdown import MAX_CHARS, escape, list_pictures, make_html, make_plain

TAGS = {
    *("p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "em"),
    *("strong", "a", "table", "thead", "tbody", "tr", "th", "td"),
}
PIECES = (
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))"),
    *("[a](JaVaScRiPt&colon;x)", "![a](data:text/html,x)", "[a](data:text/html;base64,PHM+)"),
    *("<a href='javascript:x'>", "[a](//evil.example)", "[a](/\\evil.example)", "<javascript:x>"),
    *("[a](java\tscript:x)", '"onmouseover=x', "' style='x'", "![a](https://evil.example/x.png)"),
    *("picture-0123456789abcdef0123456789abcdef", "[a](vbscript:x)", "[a](\x01javascript:x)"),
    *("![a](image:1)", "|", "|-|", "> ", "- ", "1. ", "# ", "**", "_", "[", "](", ")", "\n", " "),
    *('http://x.example/"onclick=x', "<svg/onload=x>", "&#x6a;avascript:", "www.x.example", "\\"),
)


class Reader(HTMLParser):
    """Fails on any tag, attribute or address that is not allowed."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        for name, value in attrs:
            assert name in ("href", "rel", "start", "title"), name
            if name == "href":
                url = (value or "").lower()
                assert url.startswith(("http://", "https://", "mailto:", "/", "#")), url
                assert not url.startswith(("//", "/\\")), url
            if name == "rel":
                assert value == "noreferrer noopener"

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def draw(number: int, caption: str) -> str:
    return f"[picture {number} {caption}]"


@settings(max_examples=250, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=14))
def test_nothing_in_a_text_can_run(pieces: list[str]) -> None:
    Reader().feed(make_html("".join(pieces), draw))
    make_plain("".join(pieces))


@pytest.mark.parametrize(
    "text",
    [
        *("[", "![", "*a **", "a_", "> ", "<", "|a", "\n|-", "\\", "[a](", "1. \n", "x", "www."),
        *("](", "\n> > > > a", "- ", "a@", "![a](image:1)", "https://a.example/ ", "`", "~"),
    ],
)
def test_an_evil_text_takes_bounded_time(text: str) -> None:
    start = time.process_time()
    make_html(text * (MAX_CHARS // len(text)), draw)
    # Without a bound, some of these take a minute.
    assert time.process_time() - start < 10


def test_white_space_takes_bounded_time() -> None:
    start = time.process_time()
    make_plain("a" + (" " * 18 + "\n") * 2999 + "b")
    escape("a" + "\n" * 50_000 + "b")
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("one\ntwo\n\nthree", "<p>one<br>\ntwo</p>\n<p>three</p>"),
        ("1984. A year", "<p>1984. A year</p>"),
        ("Title\n---\n    more", "<p>Title</p>\n<hr>\n<p>more</p>"),
        ("<b>x</b> &copy; `y`", "<p>&lt;b&gt;x&lt;/b&gt; &amp;copy; `y`</p>"),
        ("# A\n## B", "<h2>A</h2>\n<h3>B</h3>"),
        ("## A\n### B", "<h2>A</h2>\n<h3>B</h3>"),
        ("**a** *b*", "<p><strong>a</strong> <em>b</em></p>"),
        (
            "see www.x.example/a_b_c.",
            '<p>see <a href="https://www.x.example/a_b_c" rel="noreferrer noopener">'
            "www.x.example/a_b_c</a>.</p>",
        ),
        ("[w](/groups/3)", '<p><a href="/groups/3" rel="noreferrer noopener">w</a></p>'),
        ("[w](javascript:x)", "<p>[w](javascript:x)</p>"),
        ("a ![c](image:7) b", "<p>a  b</p>\n[picture 7 c]"),
        ("![c](image:7)", "[picture 7 c]"),
        ("![c](https://x.example/y.png)", "<p>c</p>"),
        ('![c](image:8 "t")\n![d](image:9)', "[picture 8 c][picture 9 d]"),
    ],
)
def test_a_text_as_html(text: str, html: str) -> None:
    assert make_html(text, draw) == html


def test_a_picture_that_is_not_shown_leaves_nothing() -> None:
    assert make_html("a\n\n![c](image:7)\n\nb", lambda *_: "") == "<p>a</p>\n<p>b</p>"
    assert make_html("![c](image:7)") == ""


def test_a_text_as_words() -> None:
    text = "# Head\n\nOne **two**\n[three](https://x.example)\n\n- a\n- b\n\n|c|d|\n|-|-|\n|e|f|"
    assert make_plain(text) == "Head\n\nOne two\nthree\n\na\n\nb\n\nc · d\n\ne · f"
    assert make_plain(" plain,\r\n as it was \n\nyes ") == "plain,\n as it was \n\nyes"


def test_the_pictures_of_a_text_are_listed_once() -> None:
    assert list_pictures("![a](image:3) ![b](image:1)\n\n![c](image:3)") == [3, 1]
    assert list_pictures("\\![a](image:3)") == []
