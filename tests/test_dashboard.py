"""The dashboard and the rules of the documentation name metrics and labels that exist."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from imagehub.domain.site.monitoring import CONNECTION_STATES
from imagehub.metrics import INSTRUMENTS
from tests.support import ROOT

DASHBOARD = json.loads((ROOT / "deploy/grafana/imagehub.json").read_text())
PAGE = (ROOT / "docs/monitoring.md").read_text()
# Series of each kind.
ENDINGS = {
    "histogram": ("_bucket", "_count", "_sum"),
    "counter": ("_total",),
    "gauge": ("",),
    "reading": ("",),
}
SERIES = {name + ending: one for name, one in INSTRUMENTS.items() for ending in ENDINGS[one.kind]}
# Prometheus adds the first two to all series, and the hub the next two to what it counts.
COMMON = {"job", "instance", "program", "host", "le"}


def list_panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def iter_rules() -> Iterator[str]:
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S):
        for group in yaml.safe_load(block).get("groups", ()):
            yield from (rule["expr"] for rule in group["rules"])


EXPRESSIONS = [target["expr"] for panel in list_panels() for target in panel["targets"]]


@pytest.mark.parametrize("expression", [*EXPRESSIONS, *iter_rules()])
def test_each_expression_names_metrics_and_labels_that_exist(expression: str) -> None:
    names = set(re.findall(r"\bimagehub_\w+", expression))
    assert names <= SERIES.keys()
    assert names or 'up{job="imagehub"}' in expression
    labels = {label for name in names for label in SERIES[name].labels} | COMMON
    matched = set(re.findall(r'(\w+)=~?"', expression))
    grouped = {
        label.strip() for part in re.findall(r"by \(([^)]*)\)", expression)
        for label in part.split(",")
    }  # fmt: skip
    assert matched | grouped <= labels
    assert expression.count("(") == expression.count(")")


def test_each_metric_is_on_the_dashboard_and_explained() -> None:
    shown = " ".join(EXPRESSIONS)
    for name, one in INSTRUMENTS.items():
        assert name in shown, f"deploy/grafana/imagehub.json does not show {name}"
        row = re.search(rf"^\| `{name}(?:_total)?` \|(.*?)\| (.+) \|$", PAGE, re.M)
        assert row, f"docs/monitoring.md does not explain {name}"
        assert tuple(re.findall(r"`(\w+)`", row[1])) == one.labels


def test_panels_do_not_overlap_and_have_numbers_of_their_own() -> None:
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(numbers) == len(set(numbers))
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_states_of_connections_are_different() -> None:
    assert len(set(CONNECTION_STATES)) == len(CONNECTION_STATES)
