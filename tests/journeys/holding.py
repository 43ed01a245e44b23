"""Keeps requests of a page back, so that what happens meanwhile happens meanwhile every time."""

import re
from dataclasses import dataclass, field

from playwright.sync_api import APIResponse, Page, Route


@dataclass
class Held:
    """Requests that wait, or whose answers do, until :meth:`let_go` is called."""

    page: Page
    has_answers: bool
    method: str
    routes: list[tuple[Route, APIResponse | None]] = field(default_factory=list)
    is_open: bool = False

    def take(self, route: Route) -> None:
        if self.is_open or (self.method and route.request.method != self.method):
            route.fallback()
            return
        # The answer is of the moment in which it was asked for, however late it comes.
        answer = route.fetch() if self.has_answers else None
        if answer is not None and self.is_open:  # Somebody let go while the hub was answering.
            route.fulfill(response=answer)
        else:
            self.routes.append((route, answer))

    def wait(self, count: int = 1) -> None:
        """Until so many requests are held."""
        for _ in range(400):
            if len(self.routes) >= count:
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{len(self.routes)} of {count} requests came")

    def let_go(self) -> None:
        """Lets what is held pass, in the order in which it came, and all that follows."""
        self.is_open = True
        for route, answer in self.routes:
            if answer is None:
                route.continue_()
            else:
                route.fulfill(response=answer)

    def refuse(self) -> None:
        """Lets the network fail for what is held; all that follows passes."""
        self.is_open = True
        for route, _ in self.routes:
            route.abort("connectionreset")


def hold(page: Page, pattern: str, method: str = "", *, has_answers: bool = False) -> Held:
    """Keep requests back whose address fits a regular expression.

    :param method: of these alone, where it is given.
    :param has_answers: the hub does what it is asked for, and its answer is kept back.
    """
    held = Held(page, has_answers, method)
    page.route(re.compile(pattern), held.take)
    return held
