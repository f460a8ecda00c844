"""The site of the recorded evidence: its links, its data, and what a reader does with it."""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from jsonschema import Draft202012Validator
from playwright.sync_api import Browser, Page, expect

from conformance.bugs import load_bugs
from conformance.registry import load_catalogue
from conformance.report.evidence import read_evidence
from conformance.site import links
from conformance.site.build import write_site
from conformance.site.content import Content, gather
from tests.browser.conftest import FAULTS, Shown

CHANGED = "behaviours/sandbox.gateway.priority-decides.html"
PAIR = "compare/docker-20.10-to-docker-28.5.html"
# One of each kind.
KINDS = [
    "index.html",
    "matrix.html",
    "compare/index.html",
    PAIR,
    CHANGED,
    "behaviours/ports.conflict.process-udp-shared.html",
    "engines/podman-6.1.html",
    "podman.html",
    "about.html",
]
LIGHT = [page for page in KINDS if page != "matrix.html"]
WIDTH = "document.documentElement.scrollWidth"


@pytest.fixture(scope="session")
def content() -> Content:
    """What the site tells."""
    return gather(read_evidence(), load_catalogue(), load_bugs())


@pytest.fixture(scope="session")
def folder(content: Content, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site."""
    place = tmp_path_factory.mktemp("site")
    write_site(content, place)
    return place


@pytest.fixture
def shown(browser: Browser, folder: Path) -> Iterator[Shown]:
    """Opens pages; a message on the console or a request to elsewhere is a failure."""
    opener = Shown(browser, f"{folder.as_uri()}/")
    yield opener
    opener.close()
    assert opener.complaints == []
    assert [url for url in opener.requests if not url.startswith(("file:", "data:"))] == []


# ----------------------------------------------------------------------------------- files


class Anchors(HTMLParser):
    """Collects the ids of a page and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("href", "src", "action") and value:
                self.targets.append(value)


def test_every_link_leads_somewhere_and_every_id_is_alone(folder):
    pages = {}
    for path in folder.rglob("*.html"):
        pages[path] = Anchors()
        pages[path].feed(path.read_text(encoding="utf-8"))
    assert len(pages) > len(load_catalogue())
    broken = set()
    for path, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), path
        for link in page.targets:
            if link.startswith(("https://", "http://", "data:")):
                continue
            address, fragment = urldefrag(link)
            file = (path.parent / unquote(address.partition("?")[0])).resolve() if address else path
            has_place = not fragment or unquote(fragment) in pages[file].ids
            if not (file.is_file() and has_place):
                broken.add((path.name, link))
    assert broken == set()


def test_every_id_of_the_catalogue_and_every_pair_has_its_page(folder, content):
    for row in load_catalogue():
        assert (folder / links.behaviour_page(row.id)).is_file()
    for first, second in content.pairs:
        assert (folder / links.pair_page(first, second)).is_file()


@pytest.mark.parametrize("name", list(links.SCHEMAS))
def test_data_is_what_its_schema_says(folder, name):
    schema = json.loads((folder / links.SCHEMAS[name]).read_text(encoding="utf-8"))
    document = json.loads((folder / name).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    faults = [one.json_path for one in Draft202012Validator(schema).iter_errors(document)]
    assert faults == []


def test_compat_tells_what_each_release_does(folder):
    compat = json.loads((folder / links.COMPAT).read_text(encoding="utf-8"))
    one = compat["behaviours"]["sandbox.gateway.priority-decides"]
    told = {each["engine"]: each for each in one["support"]["docker"]}
    assert told["docker-20.10"]["variant"] == "sandbox.gateway.priority-ignored"
    assert told["docker-28.5"]["variant"] == "sandbox.gateway.priority-decides"
    assert compat["older_ids"]["sandbox.gateway.priority-ignored"] == one["page"][11:-5]


# ----------------------------------------------------------------------------------- every page


@pytest.mark.parametrize("width", [1280, 380])
@pytest.mark.parametrize("name", KINDS)
def test_no_page_scrolls_sideways(shown, name, width):
    page = shown.open(name, width=width)
    assert page.evaluate(WIDTH) <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 380])
@pytest.mark.parametrize("name", LIGHT)
def test_nothing_keeps_people_from_using_a_page(shown, axe, name, width, scheme):
    page = shown.open(name, width=width, color_scheme=scheme)
    page.evaluate(axe)
    assert page.evaluate(FAULTS) == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (380, "dark")])
def test_nothing_keeps_people_from_using_the_matrix(shown, axe, width, scheme):
    page = shown.open("matrix.html?area=ports.", width=width, color_scheme=scheme)
    page.evaluate(axe)
    assert page.evaluate(FAULTS) == []


@pytest.mark.parametrize("name", LIGHT)
def test_page_can_be_printed(shown, name):
    page = shown.open(name, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    expect(page.get_by_role("button", name="Theme")).to_be_hidden()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_keyboard_begins_with_a_link_to_the_content(shown):
    page = shown.open("index.html")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_focus_can_be_seen(shown):
    page = shown.open("index.html")
    for _ in range(8):
        page.keyboard.press("Tab")
        style = "getComputedStyle(document.activeElement)"
        assert page.evaluate(f"{style}.outlineStyle") == "solid"
        assert float(page.evaluate(f"{style}.outlineWidth")[:-2]) >= 2


# ----------------------------------------------------------------------------------- search


def rows(page: Page) -> list[str]:
    found: list[str] = page.locator(".matrix tr[data-id]:visible").evaluate_all(
        "rows => rows.map(row => row.dataset.id)"
    )
    return found


def test_search_of_any_page_finds_in_the_matrix(shown):
    page = shown.open("about.html")
    page.keyboard.press("/")
    page.keyboard.type("highest GwPriority")
    page.keyboard.press("Enter")
    page.wait_for_url("**/matrix.html?q=highest+GwPriority")
    expect(page.locator("#shown")).to_contain_text(" of ")
    found = rows(page)
    assert "sandbox.gateway.priority-decides" in found
    assert len(found) < 5


def test_id_of_an_older_variant_is_found_and_has_an_address(shown):
    page = shown.open("matrix.html?q=sandbox.gateway.priority-ignored")
    assert rows(page) == ["sandbox.gateway.priority-decides"]
    page = shown.open("behaviours/sandbox.gateway.priority-ignored.html")
    page.wait_for_url("**/sandbox.gateway.priority-decides.html#sandbox.gateway.priority-ignored")


def test_cell_says_which_variant_an_engine_does(shown):
    page = shown.open("matrix.html?q=gateway.priority-decides")
    row = page.locator('tr[data-id="sandbox.gateway.priority-decides"]')
    expect(row.locator("td").nth(1)).to_contain_text("before 28.0")
    expect(row.locator("td").nth(3)).to_contain_text("since 28.0")
    row.locator("td").nth(3).get_by_role("link").click()
    page.wait_for_url("**/sandbox.gateway.priority-decides.html#docker-28.5")


@pytest.mark.parametrize("width", [1280, 380])
def test_address_of_a_cell_shows_it_below_the_heads(shown, width):
    page = shown.open("matrix.html#sandbox.gateway.priority-decides@podman-6.1", width=width)
    cell = page.locator("td a:focus")
    expect(cell).to_have_count(1)
    assert cell.evaluate("a => [a.row, a.column]") == ["sandbox.gateway.priority-decides", 5]
    head = page.locator('.matrix thead th[data-engine="podman-6.1"]')
    expect(head).to_be_in_viewport()
    above, below = head.bounding_box(), cell.bounding_box()
    assert above["y"] + above["height"] <= below["y"] < 800 - below["height"]
    assert above["x"] == pytest.approx(below["x"], abs=2)


def test_matrix_is_one_stop_of_the_tab_key_and_arrows_move(shown):
    page = shown.open("matrix.html?area=reach.")
    page.locator("#matrix").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.column") == 5
    page.keyboard.press("Enter")
    page.wait_for_url("**/behaviours/*.html#podman-6.1")


def test_filter_of_a_pair_leaves_what_holds_the_words(shown):
    page = shown.open(PAIR)
    page.get_by_label("Show only those with").fill("comes highest GWPRIORITY")
    expect(page.locator("#only-count")).to_contain_text("1 of")
    left = page.locator(".compared-one:visible")
    expect(left).to_have_count(1)
    expect(left).to_contain_text("sandbox.gateway.priority-decides")


def test_pages_are_complete_without_script(shown):
    page = shown.open("matrix.html", java_script_enabled=False)
    expect(page.get_by_role("searchbox")).to_have_count(0)
    page.locator('tr[data-id="reach.changes.disconnect"] a, tr a').first.click()
    expect(page.locator("#engines")).to_be_visible()


def test_front_page_leads_to_what_people_ask_first(shown, content):
    page = shown.open("index.html")
    expect(page.locator("h1")).to_be_in_viewport()
    card = page.get_by_role("link", name="Docker 20.10 to Docker 28.5")
    found = content.pairs["docker-20.10", "docker-28.5"]
    expect(card).to_contain_text(str(len(found.differences)))
    expect(page.get_by_role("link", name="Docker to Podman")).to_be_in_viewport()
