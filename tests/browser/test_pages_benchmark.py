"""benchmarks/pages.py, in a process of its own: Playwright runs once in each."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from benchmarks.pages import WAITS
from tests.browser.conftest import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.long]


def test_every_wait_has_a_line(browser: Browser, synthetic_store: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.pages", "--store", str(synthetic_store)]
    command += ["--dictionary", "planted", "--repeats", "1"]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert [line["wait"] for line in lines] == ["start", "deep link", *WAITS]
    assert all(0 < line["p50_ms"] <= line["p95_ms"] for line in lines)
