"""Access control: every address of the hub, requested by a stranger."""

import logging
import re

import pytest
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from imagehub.domain.people import api_tokens, second_factor, users
from imagehub.models import ApiToken, SignInSession
from imagehub.web.access import PUBLIC_ENDPOINTS
from imagehub.wiring import get_clients, get_settings
from tests.fixtures.site import NAME, PASSWORD, Site, read_csrf_token

# The addresses that strangers may open, repeated on purpose: adding one to the application's list
# must be a deliberate decision.
KNOWN_PUBLIC = {
    "static",
    "web.show_alive",
    "web.show_ready",
    # Needs a token of its own, or an allowed network.
    "web.show_metrics",
    "auth.sign_in",
    "auth.try_sign_in",
    "auth.ask_code",
    "auth.try_code",
    "auth.sign_out",
    "auth.api_sign_in",
    "gallery.api_page",
    "gallery.api_price",
    "gallery.api_total_page",
    "gallery.api_group",
    "gallery.api_image",
    "gallery.api_download",
    "gallery.show_front",
    "gallery.show_page",
    "gallery.api_pages",
    "gallery.api_text_page",
    "gallery.show_group",
    "gallery.show_shot",
    "gallery.show_contact",
    "gallery.send_contact",
    "gallery.show_enquire",
    "gallery.send_enquiry",
    "gallery.show_sent",
    "gallery.show_logo",
    "gallery.show_manifest",
    "gallery.show_offline",
    "gallery.show_service_worker",
    "gallery.set_preferences",
    "admin.receive_notifications",
    "gallery.show_media",
    "gallery.show_tile",
    "gallery.show_tile_info",
    "gallery.show_tile_service",
    "gallery.show_work_manifest",
    "gallery.show_true_size",
    "gallery.show_series_collection",
    "gallery.show_series_stretch",
    "gallery.show_full_image",
    "gallery.play_video",
    "gallery.download_zip",
    "gallery.search",
    "gallery.suggest",
    "gallery.show_tags",
    "gallery.show_tag",
    "gallery.show_series",
    "gallery.api_series",
    "gallery.api_series_page",
    "gallery.api_filters",
    "gallery.api_works",
    "gallery.api_similar",
    "gallery.show_one_series",
    "gallery.show_series_feed",
    "gallery.show_feed",
    "gallery.show_oembed",
    "gallery.show_group_embed",
    "gallery.show_series_embed",
    "gallery.show_robots",
    "gallery.show_sitemap",
    "gallery.show_sitemap_page",
    "gallery.show_share",
    "gallery.show_shared_part",
    "gallery.show_shared_work",
    "gallery.show_shared_media",
    "gallery.show_shared_tile",
    "gallery.unlock_share",
    "gallery.download_shared",
    "gallery.play_shared",
    "gallery.mark_shared_work",
    "gallery.show_shared_list",
    "gallery.save_shared_list",
    "gallery.send_shared_list",
    "gallery.show_list_sent",
    "openapi.show_document",
    "web.send_asset",
    "web.show_health",
}
# These change nothing, or check a token of their own.
_METHODS_WITHOUT_CHANGE = {"GET", "HEAD", "OPTIONS"}


def list_rules(site: Site) -> list[Rule]:
    return sorted(site.app.url_map.iter_rules(), key=str)


def make_path(rule: Rule) -> str:
    """Return an address for the rule, with 1 for every variable part."""
    return re.sub(r"<[^>]+>", "1", rule.rule)


def test_the_list_of_public_addresses_is_as_expected() -> None:
    assert PUBLIC_ENDPOINTS == KNOWN_PUBLIC, (
        "An address was opened to strangers or closed. If that is meant, change KNOWN_PUBLIC."
    )


def test_strangers_are_refused_everywhere_else(site: Site) -> None:
    tried = 0
    for rule in list_rules(site):
        if rule.endpoint in PUBLIC_ENDPOINTS:
            continue
        view = site.app.view_functions[rule.endpoint]
        for method in (rule.methods or set()) - {"OPTIONS"}:
            client = site.client()
            # Send a valid CSRF token, so that it is not the reason for the refusal.
            data = {"csrf_token": read_csrf_token(client)} if method != "GET" else None
            answer = client.open(make_path(rule), method=method, data=data)
            tried += 1
            where = f"{method} {rule} ({rule.endpoint})"
            if getattr(view, "checks_token", False):
                assert answer.status_code == 401, where
                assert answer.headers["WWW-Authenticate"] == "Bearer", where
                if method != "HEAD":
                    assert list(answer.json) == ["detail"], where
            elif method in ("GET", "HEAD"):
                assert answer.status_code == 302, where
                assert answer.location.startswith("/sign-in?next="), where
            else:
                assert answer.status_code == 403, where
                assert "Please sign in first." in answer.text, where
    assert tried > 20


def test_calls_with_a_token_are_not_on_the_public_list(site: Site) -> None:
    for endpoint in PUBLIC_ENDPOINTS:
        view = site.app.view_functions.get(endpoint)
        assert not getattr(view, "checks_token", False), f"{endpoint} checks a token: take it off"


def test_every_call_either_checks_a_token_or_is_on_the_public_list(site: Site) -> None:
    for endpoint, view in site.app.view_functions.items():
        if getattr(view, "is_api", False) and not getattr(view, "checks_token", False):
            assert endpoint in PUBLIC_ENDPOINTS, f"{endpoint} is open, but not on the list"


def is_refused(rule: Rule, answer: TestResponse) -> bool:
    """Return whether a form was refused; sign-in redirects signed-in users instead."""
    if rule.endpoint == "auth.try_sign_in":
        return answer.status_code == 302 and not answer.headers.getlist("Set-Cookie")
    return answer.status_code == 400


def test_the_sign_in_form_refuses_another_strangers_token(site: Site) -> None:
    foreign = read_csrf_token(site.app.test_client(), "/sign-in")
    for token in ("", foreign):
        client = site.app.test_client()
        own = read_csrf_token(client, "/sign-in")
        assert own != foreign
        fields = {"name": NAME, "password": PASSWORD, "csrf_token": token}
        assert client.post("/sign-in", data=fields).status_code == 400
        assert client.get("/admin/").status_code == 302, "nobody was signed in"


def test_every_form_requires_its_csrf_token(site: Site) -> None:
    """Signed in as admin, so that requests are refused for no other reason."""
    client = site.signed_in_client()
    for rule in list_rules(site):
        view = site.app.view_functions[rule.endpoint]
        if getattr(view, "is_api", False):
            continue
        for method in (rule.methods or set()) - _METHODS_WITHOUT_CHANGE:
            answer = client.open(make_path(rule), method=method)
            assert is_refused(rule, answer), f"{method} {rule} took a form without its token"


def test_every_form_refuses_another_browsers_csrf_token(site: Site) -> None:
    client = site.signed_in_client()
    foreign = read_csrf_token(site.signed_in_client(), "/admin/account")
    own = read_csrf_token(client, "/admin/account")
    assert foreign != own
    tried = 0
    for rule in list_rules(site):
        if getattr(site.app.view_functions[rule.endpoint], "is_api", False):
            continue
        for method in (rule.methods or set()) - _METHODS_WITHOUT_CHANGE:
            path = make_path(rule)
            for options in (
                {"data": {"csrf_token": foreign}},
                {"headers": {"X-CSRFToken": foreign}},
            ):
                answer = client.open(path, method=method, **options)
                assert is_refused(rule, answer), f"{method} {rule} took a foreign token"
            tried += 1
    assert tried > 15


def test_an_ended_session_cannot_open_pages(site: Site) -> None:
    client = site.signed_in_client()
    with site.session() as session:
        session.query(SignInSession).delete()
    for rule in list_rules(site):
        if rule.endpoint.startswith("admin.") and "GET" in (rule.methods or set()):
            answer = client.get(make_path(rule))
            assert answer.status_code in (302, 401), rule
            assert answer.status_code == 401 or answer.location.startswith("/sign-in"), rule


def test_a_read_only_token_cannot_change_anything(site: Site) -> None:
    """GET calls that change something are included."""
    with site.session() as session:
        user = users.find_user(session, NAME)
        assert user is not None
        token = api_tokens.create_token(session, user, "reader", "read", 1)[1]
    headers = {"Authorization": f"Bearer {token}"}
    # POST calls that change nothing in the hub.
    harmless = {"auth.api_revoke_token"}
    # A GET call that starts a sign-in at Microsoft.
    changing = {"admin.api_connect"}
    refused = 0
    for rule in list_rules(site):
        view = site.app.view_functions[rule.endpoint]
        if not getattr(view, "checks_token", False) or rule.endpoint in harmless:
            continue
        if "POST" in (rule.methods or set()) or rule.endpoint in changing:
            for method in (rule.methods or set()) & {"GET", "POST"}:
                answer = site.client().open(make_path(rule), method=method, headers=headers)
                assert answer.status_code == 403, f"{method} {rule}"
                refused += 1
    assert refused > 8


def test_pages_and_logs_contain_no_secrets(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with site.session() as session:
        user = users.find_user(session, NAME)
        vault = get_clients(site.app).vault
        assert user is not None
        assert vault is not None
        token = api_tokens.create_token(session, user, "reader", "read", 1)[1]
        factor = second_factor.begin(session, vault, user)
    site.get("/admin/groups", headers={"Authorization": f"Bearer {token}"})
    site.get("/admin/groups", headers={"Authorization": f"Bearer {token}x"})
    client = site.signed_in_client()
    cookie = client.get_cookie("hub")
    assert cookie is not None
    words = [token, factor, PASSWORD, cookie.value, get_settings(site.app).secret_key]
    with site.session() as session:
        user = users.find_user(session, NAME)
        assert user is not None
        words.append(user.password_hash)
        words += [row.word_hash for row in session.query(SignInSession)]
        words += [row.token_hash for row in session.query(ApiToken)]
    assert site.add_group() == 1, "the addresses with a number show something"
    seen = caplog.text
    for rule in list_rules(site):
        if "GET" in (rule.methods or set()):
            seen += client.get(make_path(rule)).text
    assert len(seen) > 10_000
    assert [word for word in words if word in seen] == []


def test_sessions_cannot_make_calls_and_tokens_cannot_open_pages(site: Site) -> None:
    client = site.signed_in_client()
    headers = site.bearer()
    for rule in list_rules(site):
        view = site.app.view_functions[rule.endpoint]
        if rule.endpoint in PUBLIC_ENDPOINTS or "GET" not in (rule.methods or set()):
            continue
        if getattr(view, "checks_token", False):
            assert client.get(make_path(rule)).status_code == 401, f"a cookie opened {rule}"
        else:
            answer = site.get(make_path(rule), headers=headers)
            assert answer.status_code == 302, f"a token opened {rule}"


def test_get_requests_to_pages_change_nothing(site: Site) -> None:
    """Pages change things only by POST; a link cannot forge calls with a token."""
    verbs = (
        "delete",
        "create",
        "add",
        "rename",
        "save",
        "move",
        "revoke",
        "disconnect",
        "sign_out",
    )
    for rule in list_rules(site):
        view = site.app.view_functions[rule.endpoint]
        name = rule.endpoint.rpartition(".")[2]
        if getattr(view, "is_api", False) or not name.startswith(verbs):
            continue
        assert "GET" not in (rule.methods or set()), f"{rule} ({rule.endpoint}) answers GET"


@pytest.mark.parametrize(
    "path",
    ["/admin/groups%2f", "//admin/groups", "/admin/./groups", "/Admin/groups", "/admin/groups;x"],
)
def test_unusual_spellings_of_addresses_open_nothing(site: Site, path: str) -> None:
    answer = site.get(path)
    assert answer.status_code in (301, 302, 308, 401, 404)
    if answer.status_code in (301, 308):
        assert site.get(answer.location).status_code == 401


def test_an_address_uses_lower_case_and_hyphens(site: Site) -> None:
    for rule in list_rules(site):
        fixed = re.sub(r"<[^>]+>", "", rule.rule)
        if rule.endpoint != "static":
            assert re.fullmatch(r"[a-z0-9/.\-]*", fixed), f"{rule} is not in kebab-case"


def test_the_sign_in_form_has_a_token(site: Site) -> None:
    assert len(read_csrf_token(site.client())) > 20
