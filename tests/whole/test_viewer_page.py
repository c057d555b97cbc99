"""The page in a browser: headless Chromium, where there is one."""

import io
from dataclasses import replace

import numpy as np
import pytest
from helpers.chromium import chromium, opened
from helpers.synthetic_result import synthetic_result
from PIL import Image

from facefit.batch.manifest import Record
from facefit.batch.sheet import sheet_html
from facefit.files.glb import Animation
from facefit.output.morph_glb import morph_glb
from facefit.output.morph_targets import morph_targets
from facefit.output.viewer import Page
from facefit.output.viewer_face import shot
from facefit.output.write import write_result

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium here")

NAMES = ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen")
FIRST_VERTEX = "JSON.stringify(facefit.head.meshes[0].getVertexPosition(40, facefit.stage.camera.position.clone()))"


@pytest.fixture(scope="module")
def result(toy_model):
    return synthetic_result(replace(toy_model, expression_names=NAMES), yaw=0.3)


@pytest.fixture(scope="module")
def browser():
    with opened() as page:
        yield page


def pixels(page) -> np.ndarray:
    """(H, W, 3) of the stage, left of the panel."""
    with Image.open(io.BytesIO(page.picture())) as image:
        return np.asarray(image.convert("RGB")).astype(int)[:, :460]


def set_slider(page, selector, value):
    page.run(
        f"(s => {{ s.value = {value}; s.dispatchEvent(new Event('input')) }})(document.querySelector('{selector}'))"
    )


def test_a_face(result, browser, tmp_path):
    """Everything of the page works, nothing is asked of a network, and no word of complaint."""
    write_result(result, tmp_path / "face.html", texture_size=512)
    browser.open(tmp_path / "face.html", 780, 280)
    browser.run("facefit.setWeights(new Map(facefit.head.fitted))")
    seen = {"textured": pixels(browser)}
    for look in ("clay", "albedo", "normals", "parts"):
        browser.run(f"facefit.look('{look}')")
        seen[look] = pixels(browser)
    background = (seen["clay"] == seen["clay"][0, 0]).all(-1)
    assert 0.1 < 1 - background.mean() < 0.8  # a head, and something around it
    for name, other in ((a, b) for a in seen for b in seen if a < b):
        assert np.abs(seen[name] - seen[other])[~background].mean() > 5, (name, other)
        assert (seen[name] == seen[other])[background].mean() > 0.98
    assert np.ptp(seen["clay"][~background], axis=-1).mean() < 25  # grey
    assert len({tuple(colour) for colour in seen["parts"][~background] // 64}) > 5

    browser.run("facefit.look('clay')")
    before = browser.run(FIRST_VERTEX)
    set_slider(browser, "input[aria-label=jawOpen]", 1)
    assert browser.run(FIRST_VERTEX) != before and np.abs(pixels(browser) - seen["clay"]).max() > 30
    browser.click("#fitted")
    assert browser.run(FIRST_VERTEX) == before and np.array_equal(pixels(browser), seen["clay"])
    browser.run("facefit.stage.setLight(0.9, 0)")
    right = pixels(browser)
    browser.run("facefit.stage.setLight(-0.9, 0)")
    brighter = (right - pixels(browser)).sum(-1)
    assert brighter[:, 245:][~background[:, 245:]].mean() > 20 > -20 > brighter[:, :215][~background[:, :215]].mean()

    browser.click("#wireframe")
    browser.click("#landmarks")
    browser.click("#measures")
    marks = pixels(browser)
    assert ((marks[..., 1] - marks[..., 0]) > 60).sum() > 100 and ((marks[..., 0] - marks[..., 2]) > 120).sum() > 50
    browser.click("#reset")
    _lies_on_the_photo(browser)
    browser.size(620, 80)  # many pictures follow
    browser.click("[data-name=blink]")
    browser.wait("facefit.head.weight('eyeBlinkLeft') > .8")
    browser.wait("document.querySelector('[data-name=blink]').getAttribute('aria-pressed') === 'false'")
    assert browser.run(FIRST_VERTEX) == before

    assert browser.problems == []
    assert {address.split(":")[0] for address in browser.requests} <= {"file", "data", "blob"}
    assert [address for address in browser.requests if address.startswith("file")] == [
        (tmp_path / "face.html").as_uri()
    ]


def _lies_on_the_photo(browser):
    """The photo was made of the texture: where both are shown they agree; beside the mesh the photo is seen."""
    for mark in ("#wireframe", "#landmarks", "#measures"):
        browser.click(mark)
    browser.run("facefit.look('textured')")
    browser.run("facefit.setWeights(new Map(facefit.head.fitted))")
    browser.click("[data-name=photo]")
    browser.wait("document.getElementById('photo').complete")
    set_slider(browser, "#fade", 0)
    photo = pixels(browser)
    set_slider(browser, "#fade", 1)
    mesh = pixels(browser)
    green = (photo[..., 1] > 200) & (photo[..., 0] < 60)
    head = (photo[..., 1] < 80) & (photo[..., 0] > 40)
    assert green.mean() > 0.1 and head.mean() > 0.1
    here, elsewhere = (np.abs(photo - np.roll(mesh, shift, 1))[head].mean() for shift in (0, 12))
    assert here < 6 and elsewhere > 2 * here and np.abs(photo - mesh)[green].mean() < 3
    browser.click("[data-name=orbit]")
    assert browser.run("document.getElementById('photo').hidden")


def test_a_person_takes_the_expression_of_each_photo(result, browser, tmp_path):
    first = shot(result.scene, result.photo, "front.jpg", weights={"jawOpen": 0.0})
    second = replace(first, name="open.jpg", weights={"jawOpen": 0.75}, focal=tuple(2 * f for f in first.focal))
    glb = morph_glb(result.model, morph_targets(result.scene), _png(), quantize=True)
    (tmp_path / "ann.html").write_bytes(Page("ann", glb, shapes=NAMES, shots=(first, second)).html())
    browser.open(tmp_path / "ann.html", 780, 280)
    for made in (second, first):
        browser.click(f"[data-name='{made.name}']")
        browser.wait("document.getElementById('photo').complete")
        assert browser.run("facefit.head.weight('jawOpen')") == pytest.approx(made.weights["jawOpen"], abs=1e-6)
        assert (
            browser.run(f"document.querySelector('[data-name=\"{made.name}\"]').getAttribute('aria-pressed')") == "true"
        )
    assert browser.problems == []


def test_a_sequence_plays(result, browser, tmp_path):
    """On a telephone, in the dark: head and face move; a head that is held stands still."""
    morphs = morph_targets(result.scene)
    weights = np.array([[0.0, 0, 0], [1.0, 0.5, 1.0]])
    turned = np.array([[0.0, 0, 0, 1], [0, np.sin(0.3), 0, np.cos(0.3)]])
    film = Animation(np.array([0.0, 0.4]), np.array([[0, 0, -0.9], [0.05, 0, -0.9]]), turned, weights)
    glb = morph_glb(result.model, replace(morphs, weights=weights[0]), _png(), film, quantize=True)
    (tmp_path / "clip.html").write_bytes(Page("clip", glb, shapes=NAMES).html())
    browser.open(tmp_path / "clip.html", 390, 800, dark=True)
    assert browser.run("facefit.film.seconds") == pytest.approx(0.4)
    set_slider(browser, "#time", 0.4)
    assert browser.run("facefit.head.weight('jawOpen')") == pytest.approx(1, abs=1e-5)
    assert browser.run("facefit.film.node.position.x") == pytest.approx(0.05)
    browser.click("#hold")
    assert browser.run("facefit.film.node.position.x") == 0
    set_slider(browser, "#time", 0)
    browser.click("#play")
    browser.wait("facefit.head.weight('eyeBlinkRight') > .2")
    browser.click("#play")
    with Image.open(io.BytesIO(browser.picture())) as image:
        assert image.size == (390, 800) and np.asarray(image.convert("L"))[5, 5] < 60
    assert browser.run("document.documentElement.scrollWidth") == 390
    assert browser.problems == []


def _png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 150, 120)).save(stream, "PNG")
    return stream.getvalue()


def test_a_damaged_page_says_so(browser, tmp_path):
    (tmp_path / "bad.html").write_bytes(Page("bad", b"no GLB", shapes=NAMES).html())
    browser.send("Page.navigate", url=(tmp_path / "bad.html").as_uri())
    browser.wait("(document.getElementById('wait')?.textContent ?? '').includes('cannot be shown')")
    assert browser.problems.pop() and not browser.problems


def test_a_sheet_of_thousands(browser, tmp_path):
    """Only what is in sight exists; filters, orders and the histogram agree with the numbers."""
    records = [_record(number) for number in range(4_000)]
    (tmp_path / "sheet.html").write_text(sheet_html(records))
    browser.open(tmp_path / "sheet.html", 1000, 700)
    cards = "[...document.querySelectorAll('.card')]"
    assert 3 < browser.run(f"{cards}.length") < 60
    assert browser.run("document.documentElement.scrollHeight") > 100_000
    assert browser.run(f"{cards}[0].className") == "card failed"
    browser.click("[data-kind=doubtful]")
    assert browser.run("document.getElementById('counts').textContent") == "40 of 4000 shown"
    top = browser.run(f"{cards}.sort((a, b) => parseInt(a.style.top) - parseInt(b.style.top) || "
                      "parseInt(a.style.left) - parseInt(b.style.left))[0].textContent")  # fmt: skip
    assert "3950.jpg" in top and "7.9 %" in top  # the worst of them
    browser.click("[data-kind='']")
    set_slider(browser, "#find", "'12.jpg'")
    assert browser.run("document.getElementById('counts').textContent") == "40 of 4000 shown"
    set_slider(browser, "#find", "''")
    browser.run("document.querySelector('#bars button:last-child').click()")
    shown = int(browser.run("document.getElementById('counts').textContent").split()[0])
    assert 0 < shown < 1000
    browser.run("document.querySelector('#bars button:last-child').click()")
    browser.run("scrollTo(0, 80000)")
    browser.wait(f"{cards}.some(card => card.getBoundingClientRect().top > 0)")
    browser.run("scrollTo(0, 0)")
    browser.click(".card.good, .card.failed")
    assert browser.run("document.getElementById('detail').open")
    browser.size(390, 800)
    browser.run("document.getElementById('detail').close()")
    browser.picture()
    assert browser.run("document.documentElement.scrollWidth") == 390
    assert browser.problems == []


def _record(number: int) -> Record:
    if number % 200 == 0:
        return Record(f"{number}.jpg", 1, 1.0, "failed", 3, "no face found", 0.5)
    status = "doubtful" if number % 100 == 50 else "converged"
    face = {"face": 1, "status": status, "mesh": f"{number}.obj", "landmark_error": number / 50_000, "part_iou": 0.7}
    return Record(f"{number}.jpg", 1, 1.0, "done", faces=[face])
