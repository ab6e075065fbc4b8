"""The page in a real browser, as a person uses it; skipped where there is no Chromium."""

import shutil

import numpy as np
import pytest
from PIL import Image

webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed")
from selenium.common.exceptions import (  # noqa: E402
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver import ActionChains  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="Chromium and its driver are not installed"
)

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def start_browser(profile, downloads, *flags):
    """A headless Chromium that saves downloads in a folder."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}", *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_window_size(1200, 900)
    driver.downloads = downloads
    allowed = {"behavior": "allow", "downloadPath": str(downloads)}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
    return driver


class Page:
    """The page as a person uses it."""

    def __init__(self, browser, address) -> None:
        self.browser = browser
        browser.get(address)

    def __getitem__(self, identifier):
        return self.browser.find_element(By.ID, identifier)

    def wait(self, condition):
        reloaded = (StaleElementReferenceException, NoSuchElementException)
        waiting = WebDriverWait(self.browser, 30, 0.05, ignored_exceptions=reloaded)
        return waiting.until(condition)

    def expect_status(self, text):
        self.wait(lambda _: text in self["status"].text)
        return self["status"].text

    def open(self, path):
        self["file"].send_keys(str(path))
        self.expect_status("Started by itself")

    def click(self, x, y, shift=False):
        """On a point of the 400x300 photo."""
        canvas = self["photo"]
        scale = canvas.size["width"] / 400
        chain = ActionChains(self.browser)
        if shift:
            chain.key_down(Keys.SHIFT)
        offset = round((x - 200) * scale), round((y - 150) * scale)
        chain.move_to_element_with_offset(canvas, *offset).click()
        if shift:
            chain.key_up(Keys.SHIFT)
        chain.perform()

    def drag(self, start, end):
        """From one point of the 400x300 photo to another."""
        canvas = self["photo"]
        scale = canvas.size["width"] / 400
        (x0, y0), (x1, y1) = (
            (round((x - 200) * scale), round((y - 150) * scale)) for x, y in (start, end)
        )
        chain = ActionChains(self.browser).move_to_element_with_offset(canvas, x0, y0)
        chain.click_and_hold().move_by_offset((x1 - x0) // 2, (y1 - y0) // 2)
        chain.move_to_element_with_offset(canvas, x1, y1).release().perform()

    def choices(self):
        """The masks to choose from."""
        return self.browser.find_elements(By.CSS_SELECTOR, "#choices label")

    def press(self, *keys):
        ActionChains(self.browser).send_keys(*keys).perform()

    def download(self):
        """The file that is saved."""
        folder = self.browser.downloads
        for old in folder.iterdir():
            old.unlink()
        self.press("d")
        self.wait(lambda _: [f for f in folder.iterdir() if f.suffix == ".png"])
        (file,) = folder.iterdir()
        return file

    def cutout(self):
        """Its pixels."""
        with Image.open(self.download()) as image:
            assert image.mode == "RGBA"
            return np.asarray(image)

    def pixel(self, x, y):
        """Color of the drawing at a point of the photo."""
        script = """
            const canvas = document.getElementById("photo");
            const [x, y] = [arguments[0] * canvas.width / 400, arguments[1] * canvas.height / 300];
            return Array.from(canvas.getContext("2d").getImageData(x, y, 1, 1).data);
        """
        return np.array(self.browser.execute_script(script, x, y))[:3]
