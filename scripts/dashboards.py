"""Writes the chart's dashboards and alerts: `python scripts/dashboards.py [DIRECTORY]`, by default charts/mediabucket.

What they show and when they fire is in scripts/monitoring.
"""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from monitoring import operator_board, rule_files, uploads_board

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "mediabucket"


def files() -> dict[str, str]:
    """Path within the chart to content, of everything that is generated."""
    return {
        "dashboards/uploads.json": dashboard_json(uploads_board.build()),
        "dashboards/operator.json": dashboard_json(operator_board.build()),
        "alerts/rules.yaml": rule_files.rules_yaml(),
    }


def dashboard_json(builder: Dashboard) -> str:
    """As Grafana imports it, with a number for each panel, which links and alerts refer to."""
    board = builder.build()
    for number, panel in enumerate(board.panels or [], start=1):
        panel.id_val = number
    for link in board.links or []:
        # At the top, not within a menu.
        link.placement = ""
    return json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def main(arguments: list[str]) -> None:
    chart = Path(arguments[0]) if arguments else CHART
    for path, content in files().items():
        (chart / path).parent.mkdir(parents=True, exist_ok=True)
        (chart / path).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
