"""A person on the page, with both of its back ends."""

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.demo.server import build_folder_app
from tests.demo.conftest import HOSTS, served
from tests.demo.page import ActionChains, By, Keys, Page, needs_browser

pytestmark = needs_browser


@pytest.fixture(params=["server", "browser"])
def backend(request):
    """The maker of the masks: every test of the page holds for both."""
    return request.param


@pytest.fixture
def address(backend, request):
    """The page's address, served in a thread."""
    if backend == "server":
        served_app = request.getfixturevalue("app")
    else:
        served_app = build_folder_app(request.getfixturevalue("discs_folder"), HOSTS)
    with served(served_app) as port:
        yield f"http://127.0.0.1:{port}/"


TITLES = {"server": "nano fp32 on torch", "browser": "nano fp32 in this browser: WebAssembly"}


@pytest.fixture
def page(browser, address):
    return Page(browser, address)


def test_a_photo_starts_by_itself_and_shows_its_timing(page, picture, backend):
    page.open(picture)
    assert "5 on the object, 0 beside it" in page["status"].text
    for name in ("decode", "resize", "saliency", "mask", "shown after"):
        assert name in page["timing"].text
    assert not page["drop"].is_displayed()
    assert page["about"].text.startswith(TITLES[backend])


def test_what_is_outside_the_mask_is_dark(page, picture):
    page.open(picture)
    original = np.asarray(Image.open(picture)).astype(int)
    assert np.abs(page.pixel(200, 180) - original[180, 200]).max() <= 2
    np.testing.assert_allclose(page.pixel(20, 20), original[20, 20] * 90 / 255, atol=3)


def test_clicks_add_and_shift_clicks_remove(page, picture):
    page.open(picture)
    page.click(60, 60)
    page.expect_status("Added. 6 on the object, 0 beside it")
    assert page.cutout()[60, 60, 3] == 255
    page.click(20, 60, shift=True)
    page.expect_status("Removed. 5 on the object, 1 beside it, 1 ignored")
    alpha = page.cutout()[..., 3]
    assert alpha[60, 20] == 0
    assert alpha[60, 80] == 255


def test_a_click_on_a_dot_takes_it_away(page, picture):
    page.open(picture)
    page.click(60, 60)
    page.expect_status("6 on the object")
    page.click(61, 59)
    page.expect_status("Click taken away. 5 on the object")
    assert page.cutout()[60, 60, 3] == 0


def test_undo_and_starting_over(page, picture):
    page.open(picture)
    assert not page["undo"].is_enabled()
    page.click(60, 60)
    page.expect_status("6 on the object")
    page["undo"].click()
    page.expect_status("Undone. 5 on the object")
    page.click(60, 60)
    page.expect_status("6 on the object")
    page.click(350, 60, shift=True)
    page.expect_status("Removed. 5 on the object, 1 beside it, 1 ignored")
    page["restart"].click()
    page.expect_status("Back to the start. 5 on the object, 0 beside it")
    page["undo"].click()
    page.expect_status("Undone. 5 on the object, 1 beside it, 1 ignored")


def test_everything_works_from_the_keyboard(page, picture):
    page.open(picture)
    # The photo has the focus after opening; the pointer starts in its middle.
    page.press(*[Keys.ARROW_LEFT] * 15, *[Keys.ARROW_UP] * 8)
    page.press(Keys.ENTER)
    page.expect_status("Added. 6 on the object")
    # 15 steps of 2% of 400 to the left of 200, 8 up from 150.
    assert page.cutout()[150 - 64, 200 - 120, 3] == 255
    page.press(*[Keys.ARROW_DOWN] * 20)
    ActionChains(page.browser).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(
        Keys.SHIFT
    ).perform()
    page.expect_status("Removed. 5 on the object, 1 beside it, 1 ignored")
    page.press(Keys.BACKSPACE)
    page.expect_status("Undone. 6 on the object, 0 beside it")
    ActionChains(page.browser).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
    page.expect_status("Undone. 5 on the object")
    page.press("r")
    page.expect_status("Back to the start")


def test_a_dot_that_the_network_ignores_looks_ignored_and_is_not_counted(page, picture):
    page.open(picture)
    for x in (40, 90):
        page.click(x, 40)
    status = page.expect_status("6 on the object, 0 beside it, 1 ignored")
    assert "Added" in status
    # Saliency's second click, at (174.5, 130.75), is the oldest but the first.
    script = """
        const canvas = document.getElementById("photo");
        const [x, y] = [arguments[0] * canvas.width / 400, arguments[1] * canvas.height / 300];
        const zoom = canvas.width / canvas.getBoundingClientRect().width;
        const side = Math.round(10 * zoom);
        const [left, top] = [x - side / 2, y - side / 2];
        return Array.from(canvas.getContext("2d").getImageData(left, top, side, side).data);
    """
    for (x, y), used in {(175, 131): False, (225, 131): True}.items():
        data = page.browser.execute_script(script, x, y)
        red, green, blue = np.array(data).reshape(-1, 4)[:, :3].T.astype(int)
        # The green of a used dot is #12833b.
        share = np.mean((abs(red - 0x12) < 6) & (abs(green - 0x83) < 6) & (abs(blue - 0x3B) < 6))
        assert (share > 0.3) == used
        assert (share == 0) != used


def test_a_box_is_dragged_and_taken_away(page, picture):
    page.open(picture)
    page.drag((250, 200), (350, 280))
    # What saliency had picked would contradict the box.
    page.expect_status("Box drawn. 0 on the object, 0 beside it, a box")
    alpha = page.cutout()[..., 3]
    assert alpha[210:270, 260:340].min() == 255
    assert alpha[150, 200] == alpha[20, 20] == 0
    page.click(100, 100)
    page.expect_status("Added. 1 on the object, 0 beside it, a box")
    assert page.cutout()[100, 100, 3] == 255
    page.browser.find_element(By.CSS_SELECTOR, "#mode label:nth-child(3)").click()
    page.click(300, 60)
    status = page.expect_status("Box taken away. 1 on the object, 0 beside it")
    assert "a box" not in status.split(".")[1]


def test_a_box_is_drawn_from_the_keyboard(page, picture):
    page.open(picture)
    page.press(*[Keys.ARROW_UP] * 5, "b", *[Keys.ARROW_RIGHT] * 10, *[Keys.ARROW_DOWN] * 10, "b")
    page.expect_status("Box drawn. 0 on the object, 0 beside it, a box")
    # From (200, 110), 10 steps of 8 pixels to the right and down.
    alpha = page.cutout()[..., 3]
    assert alpha[115:185, 205:275].min() == 255
    assert alpha[100, 240] == alpha[200, 240] == alpha[150, 190] == alpha[150, 290] == 0
    page.press(Keys.ESCAPE)
    page.expect_status("Box taken away")
    page.press(Keys.BACKSPACE)
    page.expect_status("Undone. 0 on the object, 0 beside it, a box")


def test_another_mask_is_chosen_and_an_empty_one_says_so(page, picture):
    page.open(picture)
    page.wait(lambda _: len(page.choices()) == 4)
    assert [choice.text for choice in page.choices()] == [
        "1: 0.90",
        "2: 0.30",
        "3: 0.20",
        "4: 0.10",
    ]
    assert not page["empty"].is_displayed()
    page.choices()[1].click()
    page.expect_status("Mask 2. 5 on the object, 0 beside it, a box; predicted IoU 0.30")
    assert page["empty"].is_displayed()
    assert page.cutout()[..., 3].max() == 0
    page.press("3")
    page.expect_status("Mask 3.")
    assert not page["empty"].is_displayed()
    assert page.cutout()[..., 3].min() == 255
    # Another click begins with the best mask again.
    page.click(60, 60)
    page.expect_status("Added. 6 on the object, 0 beside it; predicted IoU 0.90")


def test_an_example_is_at_hand(page):
    page["example"].click()
    page.expect_status("Started by itself")
    assert "CC BY 2.0" in page["credit"].text
    assert page.download().name == "example-cutout.png"
    assert not page["example"].is_displayed()


def test_every_control_is_reached_with_tab(page, picture):
    page.open(picture)
    page.click(60, 60)
    page.expect_status("6 on the object")
    reached = []
    for _ in range(7):
        page.press(Keys.TAB)
        active = page.browser.switch_to.active_element
        reached.append(active.get_attribute("id") or active.get_attribute("value"))
    assert reached[:6] == ["0", "add", "undo", "restart", "download", "another"]


def test_the_cut_out_is_the_photo_with_transparency_under_its_name(page, picture):
    page.open(picture)
    page["download"].click()
    expected = page.browser.downloads / "my cat-cutout.png"
    page.wait(lambda _: expected.is_file())
    expected.unlink()
    pixels, original = page.cutout(), np.asarray(Image.open(picture))
    assert pixels.shape == (300, 400, 4)
    inside = pixels[..., 3] == 255
    assert 0 < inside.sum() < inside.size
    assert (pixels[~inside][:, 3] == 0).all()
    np.testing.assert_array_equal(pixels[inside][:, :3], original[inside])


DROP = """
    const [name, kind, bytes] = arguments;
    const files = new DataTransfer();
    files.items.add(new File([new Uint8Array(bytes)], name, { type: kind }));
    document.getElementById("stage").dispatchEvent(
      new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
"""


def test_a_photo_can_be_dropped(page, photo):
    page.browser.execute_script(DROP, "dropped.png", "image/png", list(photo))
    page.expect_status("Started by itself")
    assert page.download().name == "dropped-cutout.png"


def test_a_bad_file_gets_one_sentence_and_the_next_good_one_works(page, picture):
    page.browser.execute_script(DROP, "notes.txt", "text/plain", list(b"hello"))
    page.wait(lambda _: page["error"].is_displayed())
    assert page["error"].text.startswith("The upload cannot be read")
    assert page["drop"].is_displayed()
    page.open(picture)
    assert not page["error"].is_displayed()


def test_a_phone_has_big_buttons_and_no_sideways_scrolling(page, picture, browser):
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        browser.refresh()
        page.open(picture)
        scroll, inner = browser.execute_script(
            "return [document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert (scroll, inner) == (390, 390)
        for control in (
            *(page[name] for name in ("undo", "restart", "download", "another")),
            *browser.find_elements(By.CSS_SELECTOR, "#mode span"),
        ):
            assert control.size["height"] >= 44
        browser.find_element(By.CSS_SELECTOR, "#mode label:nth-child(2)").click()
        page.click(60, 60)
        page.expect_status("Removed. 5 on the object, 1 beside it")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_the_page_asks_only_its_own_server_and_reports_no_error(page, picture, address):
    page.browser.get_log("browser")
    page.browser.refresh()
    page.open(picture)
    page.click(60, 60)
    page.expect_status("6 on the object")
    asked = page.browser.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert asked
    assert all(url.startswith((address, "blob:", "data:")) for url in asked)
    assert page.browser.get_log("browser") == []
