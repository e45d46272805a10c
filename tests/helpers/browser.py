"""A page from disk in a real Chromium, with what it asked for and what it complained about."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_LOCAL = ("file://", "data:", "blob:")


@contextmanager
def open_page(path: Path, width: int = 1280, height: int = 900) -> Iterator[Page]:
    """Open a file in Chromium without a window; skips the test where Chromium is missing.

    Parameters
    ----------
    path : Path
        The HTML file.
    width, height : int
        Of the window, in pixels.
    """
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no chromium and chromedriver: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium: pip install selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as opened:
        page = Page(opened)
        page.resize(width, height)
        page.load(path)
        yield page


class Page:
    """What a test does with an open page.

    Attributes
    ----------
    driver : selenium.webdriver.Chrome
        The browser.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def load(self, path: Path) -> None:
        """Open another file in the same browser."""
        self.driver.get(path.resolve().as_uri())

    def resize(self, width: int, height: int) -> None:
        """Give the page so many pixels; a window cannot be as narrow as a phone."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, **features: str) -> None:
        """Set media features of the reader: ``prefer(color_scheme="dark")``."""
        chosen = [{"name": f"prefers-{name.replace('_', '-')}", "value": v} for name, v in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": chosen})

    def all(self, selector: str) -> list[Any]:
        """Elements by CSS selector."""
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        """The only element by CSS selector."""
        (found,) = self.all(selector)
        return found

    def texts(self, selector: str) -> list[str]:
        """Visible texts of the displayed elements."""
        return [found.text for found in self.all(selector) if found.is_displayed()]

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def click(self, element: Any) -> None:
        """Click an element, in the middle of the window."""
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def press(self, *keys: str) -> None:
        """Type keys to whatever has the focus."""
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def settle(self) -> None:
        """Wait until what was just laid out has been drawn."""
        self.run("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def overflow(self) -> int:
        """How many pixels the page is wider than the window."""
        return int(self.run("return document.documentElement.scrollWidth - window.innerWidth"))

    def screenshot(self, path: Path) -> bytes:
        """Write the whole page as a PNG."""
        import base64

        self.settle()
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        path.write_bytes(base64.b64decode(shot["data"]))
        return path.read_bytes()

    def pdf(self, path: Path) -> bytes:
        """Print the page."""
        import base64

        path.write_bytes(base64.b64decode(self.driver.print_page()))
        return path.read_bytes()

    def console(self) -> list[str]:
        """What the console has said since the last call, errors of the page included."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests_beyond_the_disk(self) -> list[str]:
        """Addresses asked for since the last call, but for files and data."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith(_LOCAL)]
