import gc
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from app import links

MAIN = Path(links.__file__).with_name("main.py")
Open = Callable[..., AppTest]


@pytest.fixture(scope="session", autouse=True)
def _stores_closed_at_the_end() -> Iterator[None]:
    """Let go of the last page's store, or DuckDB complains of it when Python stops."""
    yield
    st.cache_resource.clear()
    gc.collect()


@pytest.fixture(scope="session", autouse=True)
def _packages_are_read_once() -> Iterator[None]:
    """Streamlit looks for components in every installed package, at the start of every page."""
    with pytest.MonkeyPatch.context() as patched:
        name = "scan_component_manifests"
        patched.setattr(manifest_scanner, name, cache(getattr(manifest_scanner, name)))
        yield


@pytest.fixture(scope="session")
def opened() -> list[Path]:
    """The store of the last page."""
    return []


@pytest.fixture
def open_page(synthetic_store: Path, opened: list[Path], monkeypatch: pytest.MonkeyPatch) -> Open:
    """Run a page of the app with query parameters, over the synthetic store unless told.

    What is kept of a store stays while pages of the same are opened.
    """

    def run(page: Path, store: Path = synthetic_store, /, **params: str) -> AppTest:
        monkeypatch.setattr(sys, "argv", [str(MAIN), str(store)])
        if opened != [store]:
            st.cache_resource.clear()
            opened[:] = [store]
        test = AppTest.from_file(str(MAIN), default_timeout=20)
        test.switch_page(str(page))
        for name, value in params.items():
            test.query_params[name] = value
        test.run()
        assert not test.exception, test.exception
        return test

    return run


def texts(test: AppTest) -> str:
    """All HTML that the page shows, the style sheet left out; commands as they are copied."""
    bodies = [element.proto.body for element in test.get("html")]
    shown = "\n".join(body for body in bodies if not body.startswith("<style>"))
    return re.sub(r"<span>(--[\w-]+)</span>", r"\1", shown)
