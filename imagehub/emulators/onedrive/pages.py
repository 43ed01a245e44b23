"""The pages of the sign-in; deliberately plain."""

from collections.abc import Mapping
from html import escape
from urllib.parse import urlsplit

from .items import Account
from .server import Response, answer_html


def show_consent(account: Account, asked: Mapping[str, str], wishes: list[str]) -> Response:
    """Show who signs in, which permissions the application requests, and two buttons.

    :param wishes: the scopes to show.
    """
    listed = "".join(f"<li>{escape(wish)}</li>" for wish in wishes)
    site = urlsplit(asked["redirect_uri"])
    body = (
        "<h1>Permissions requested</h1>"
        f"<p><strong>{escape(account.name)}</strong><br>"
        f"{escape(account.username)}</p>"
        f"<p>The application at {escape(f'{site.scheme}://{site.netloc}')} would like to:</p>"
        f"<ul>{listed}</ul>"
        f'<form method="post" action="?">{_write_hidden(asked)}'
        '<button name="decision" value="cancel">Cancel</button> '
        '<button name="decision" value="consent">Consent</button></form>'
        "<p><small>This is ImageHub’s OneDrive emulator, not Microsoft.</small></p>"
    )
    return answer_html(_page("Sign in to your account", body))


def show_problem(number: int, sentence: str) -> Response:
    """Show an error that must not be sent to an untrusted redirect address."""
    body = f"<h1>Sorry, but we’re having trouble signing you in.</h1><p>AADSTS{number}: "
    return answer_html(_page("Sign in to your account", body + escape(sentence) + "</p>"), 400)


def show_form_post(uri: str, answer: Mapping[str, str]) -> Response:
    """Return a self-submitting form, for ``response_mode=form_post``."""
    body = (
        f'<form method="post" action="{escape(uri)}">{_write_hidden(answer)}'
        "<noscript><button>Continue</button></noscript></form>"
        "<script>document.forms[0].submit()</script>"
    )
    return answer_html(_page("Working…", body))


def show_signed_out() -> Response:
    return answer_html(_page("Signed out", "<h1>You signed out of your account</h1>"))


def _write_hidden(fields: Mapping[str, str]) -> str:
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        "<style>body{font:16px/1.5 sans-serif;max-width:28rem;margin:3rem auto;padding:0 1rem}"
        "h1{font-size:1.4rem}button{font:inherit;padding:.4rem 1.2rem}</style></head>"
        f"<body>{body}</body></html>"
    )
