"""What a reader does with the page of the matrix, in a real browser."""

from urllib.request import url2pathname

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import FAULTS
from tests.browser.full_report import ENGINES, MARKUP, ODD

# Every text whose contrast with its ground is below what WCAG 2 asks for (AA, 4.5 to 1).
WEAK_TEXT = """() => {
    const part = (c) => c / 255 <= .03928 ? c / 255 / 12.92 : ((c / 255 + .055) / 1.055) ** 2.4;
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const shade = ([r, g, b]) => .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
    const ground = (e) => {
        for (; e; e = e.parentElement) {
            const color = rgb(getComputedStyle(e).backgroundColor);
            if (color.length === 3) return color;
        }
    };
    const texts = "td a, .mark, p, th, dd, dt, label, .prefix, .count, h3";
    return [...document.querySelectorAll(texts)]
        .filter((e) => e.offsetParent && !e.closest(":disabled"))
        .map((e) => {
            const pair = [shade(rgb(getComputedStyle(e).color)), shade(ground(e))];
            const ratio = (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
            return [ratio, e.className, e.textContent.trim().slice(0, 20)];
        })
        .filter(([ratio]) => ratio < 4.5);
}"""


def row(page, behaviour):
    return page.locator(f'.matrix tr[data-id="{behaviour}"]')


def cell(page, behaviour, engine):
    return row(page, behaviour).locator("td a").nth(list(ENGINES).index(engine))


def shown_rows(page):
    return page.locator(".matrix tr[data-id]:visible").evaluate_all(
        "rows => rows.map(row => row.dataset.id)"
    )


def chip(page, name):
    return page.locator("#verdicts").get_by_role("button", name=name)


# ----------------------------------------------------------------------------------- as it opens


def test_page_is_one_small_file(page_file):
    # 926 rows on six engines; what a page weighs grows with both
    assert page_file.stat().st_size < 2_000_000


def test_matrix_has_every_cell_with_a_symbol_and_a_name(page, document):
    cells = page.locator(".matrix td a")
    expect(cells).to_have_count(len(document["results"]))
    odd = {key: cell(page, *key).get_attribute("aria-label") for key in ODD}
    assert odd["init.none.files", "docker-28.5"] == "known deviation"
    assert odd["init.none.only-loopback", "podman-5.8"] == "new failure"
    assert cell(page, "init.none.files", "docker-28.5").inner_text() == "~"
    assert cell(page, "init.none.files", "docker-20.10").inner_text() == "✓"


def test_matrix_is_a_real_table(page, document):
    table = page.get_by_role("table", name="Behaviours in rows")
    expect(table.get_by_role("columnheader")).to_have_count(1 + len(ENGINES))
    rows = len(document["behaviours"])
    assert page.locator('.matrix th[scope="row"]').count() == rows
    assert page.locator('.matrix th[scope="col"]').count() == 1 + len(ENGINES)


def test_first_numbers_are_what_passes_of_what_is_promised(page, document):
    """The largest number of an engine's line is not what is as expected."""
    heads = page.locator(".engines thead th").all_inner_texts()
    assert heads[2:5] == ["Core", "Contract", "Quirk"]
    tiers = {row["id"]: row["tier"] for row in document["behaviours"]}
    podman = [cell for cell in document["results"] if cell["engine"] == "podman-5.8"]
    told = page.locator(".engines tbody tr", has_text="podman-5.8").locator("td.score")
    for tier, score in zip(("core", "contract", "quirk"), told.all_inner_texts(), strict=True):
        verdicts = [cell["verdict"] for cell in podman if tiers[cell["behaviour"]] == tier]
        promised = len(verdicts) - verdicts.count("n/a")
        assert score == (f"{verdicts.count('pass')}/{promised}" if promised else "-")


def test_tier_leaves_only_its_rows(page, document):
    core = [row["id"] for row in document["behaviours"] if row["tier"] == "core"]
    page.get_by_label("Tier").select_option("core")
    assert sorted(shown_rows(page)) == sorted(core)
    page.get_by_role("button", name="Reset").first.click()
    expect(page.locator(".matrix tr[data-id]:visible")).to_have_count(len(document["behaviours"]))


def test_facts_of_the_run_are_on_top(page):
    page.get_by_text("Packages, host and run").click()
    facts = page.locator(".facts").inner_text()
    for fact in ("20.10.24+dfsg1", "libnet 1.2-3", "6.1.0", "1234567", "2026-11-24 13:00:00 UTC"):
        assert fact in facts


def test_what_engines_lack_is_told_once_per_capability(page):
    page.get_by_text("capability that engines or this machine did not have").click()
    told = page.locator(".missing tbody tr")
    expect(told).to_have_count(1)
    expect(told).to_contain_text("its namespaces and files can be seen from the machine")
    expect(told).to_contain_text("podman-5.8: 1")


def test_heads_stay_while_the_page_scrolls(page):
    heads = page.locator(".matrix thead th[data-engine]")
    row(page, "ports.reach.chosen-port").scroll_into_view_if_needed()
    page.mouse.wheel(0, 400)
    for head in heads.all():
        assert head.bounding_box()["y"] == pytest.approx(0, abs=1)
    inner = "e => getComputedStyle(e).overflowY"
    assert page.locator("#matrix").evaluate(inner) == "visible"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_its_ground(shown, scheme):
    page = shown.open(color_scheme=scheme)
    weak = page.evaluate(WEAK_TEXT)
    assert weak == []


# ----------------------------------------------------------------------------------- filters


def test_area_filter_leaves_the_rows_of_the_area(page):
    page.get_by_label("Area").select_option("init.none")
    rows = shown_rows(page)
    assert rows
    assert all(name.startswith("init.none.") for name in rows)
    expect(page.locator("#shown")).to_have_text(
        f"{len(rows)} of {page.locator('.matrix tr[data-id]').count()} behaviours"
    )
    expect(page.locator(".matrix .area:visible")).to_have_count(1)


def test_verdict_filter_leaves_rows_that_have_it_and_several_add_up(page):
    chip(page, "new failure").click()
    assert shown_rows(page) == ["init.none.only-loopback"]
    chip(page, "capability missing").click()
    assert shown_rows(page) == ["init.none.only-loopback", "init.none.sandbox-pinned"]
    expect(chip(page, "new failure")).to_have_attribute("aria-pressed", "true")


def test_verdict_that_nobody_has_cannot_be_chosen(page):
    expect(chip(page, "harness error")).to_be_disabled()


def test_engine_filter_hides_its_column_and_its_verdicts(page):
    page.get_by_role("checkbox", name="podman-5.8").uncheck()
    expect(page.locator(".matrix thead th:visible")).to_have_count(len(ENGINES))
    expect(cell(page, "init.none.only-loopback", "podman-5.8")).to_be_hidden()
    chip(page, "new failure").click()
    expect(page.get_by_text("No behaviour matches.")).to_be_visible()


def test_search_finds_ids_statements_and_reasons(page):
    search = page.get_by_role("searchbox")
    search.fill("none ONLY-loop")
    assert shown_rows(page) == ["init.none.only-loopback"]
    search.fill("writes the file when the sandbox is built")
    assert shown_rows(page) == ["init.none.files"]
    search.fill("no row has this")
    page.get_by_role("button", name="Reset the filters").click()
    expect(page.locator("#nothing")).to_be_hidden()
    assert search.input_value() == ""


def test_only_differences(page):
    page.get_by_label("Only where engines differ").check()
    assert sorted(shown_rows(page)) == sorted({behaviour for behaviour, _ in ODD})


def test_sentences_are_in_the_matrix_until_they_are_switched_off(page):
    said = row(page, "init.none.files").locator(".said")
    expect(said).to_contain_text("MUST get a hosts file")
    expect(said).to_be_visible()
    page.get_by_label("Sentences").uncheck()
    expect(said).to_be_hidden()


def test_reset_gives_everything_back(page, document):
    page.get_by_label("Area").select_option("init.none")
    chip(page, "new failure").click()
    page.get_by_role("checkbox", name="reference").uncheck()
    page.get_by_role("button", name="Reset", exact=True).click()
    expect(page.locator("#shown")).to_have_text(f"{len(document['behaviours'])} behaviours")
    expect(page.locator('#verdicts [aria-pressed="true"]')).to_have_count(0)
    expect(page.locator(".matrix thead th:visible")).to_have_count(1 + len(ENGINES))


def test_notes_follow_the_filters(page):
    notes = page.locator(".note:visible")
    expect(notes).to_have_count(4)
    page.get_by_role("searchbox").fill("init.none.files")
    expect(notes).to_have_count(1)
    page.get_by_role("searchbox").fill("init.none.sandbox-pinned")
    expect(page.get_by_text("No engine deviates in the rows that are shown.")).to_be_visible()


# ----------------------------------------------------------------------------------- a cell


def test_click_tells_statement_reason_values_and_log(page):
    cell(page, "init.none.files", "docker-28.5").click()
    panel = page.get_by_role("complementary", name="The chosen cell")
    expect(panel).to_be_in_viewport()
    text = panel.inner_text()
    for said in (
        "init.none.files",
        "MUST get a hosts file",
        "docker-28.5: known deviation",
        "writes the file when the sandbox is built",
        "versions >=28.0",
        "the lines of the hosts file",
        '["127.0.0.1 localhost"]',
        "--- call",
        "--engine docker-28.5 init.none.files",
    ):
        assert said in text
    link = panel.get_by_role("link", name="https://github.com/moby/moby/issues/1")
    assert link.get_attribute("href") == "https://github.com/moby/moby/issues/1"


def test_links_to_log_files_lead_to_them(page, page_file):
    cell(page, "init.none.only-loopback", "podman-5.8").click()
    hrefs = page.locator("#panel .files a").evaluate_all("links => links.map(a => a.href)")
    assert len(hrefs) == 2
    for href in hrefs:
        assert (page_file.parent / url2pathname(href.removeprefix("file://"))).is_file()


def test_markup_in_a_value_is_text(page):
    cell(page, "init.none.only-loopback", "podman-5.8").click()
    expect(page.locator("#panel .values dd").nth(1)).to_have_text(MARKUP)
    assert page.locator("img").count() == 0


def test_link_of_an_expectation_is_followed_only_to_a_page(page):
    cell(page, "init.host.hosts-file", "podman-5.8").click()
    expect(page.locator("#panel")).to_contain_text("javascript:alert(1)")
    assert page.locator('a[href^="javascript"]').count() == 0


def test_plain_pass_tells_what_passed(page):
    cell(page, "init.none.files", "reference").click()
    expect(page.locator("#panel")).to_contain_text("reference: pass")
    expect(page.locator("#panel")).to_contain_text("MUST get a hosts file")


def test_panel_goes_to_another_engine_of_the_row(page):
    cell(page, "init.none.files", "reference").click()
    page.locator("#panel").get_by_role("button", name="docker-28.5").click()
    expect(page.locator("#panel")).to_contain_text("docker-28.5: known deviation")
    expect(cell(page, "init.none.files", "docker-28.5")).to_have_attribute("aria-current", "true")


def test_filter_that_hides_the_chosen_cell_closes_the_panel(page):
    cell(page, "init.none.files", "docker-28.5").click()
    page.get_by_role("checkbox", name="docker-28.5").uncheck()
    expect(page.locator("#panel")).to_be_hidden()


def test_cell_has_an_address(shown):
    page = shown.open("#init.none.files@docker-28.5")
    expect(page.locator("#panel")).to_contain_text("docker-28.5: known deviation")
    expect(cell(page, "init.none.files", "docker-28.5")).to_be_in_viewport()


def test_address_of_a_row_opens_what_is_odd_about_it(shown):
    page = shown.open("#init.none.only-loopback")
    expect(page.locator("#panel")).to_contain_text("podman-5.8: new failure")


def test_address_beats_a_filter(page):
    page.get_by_role("searchbox").fill("init.user")
    page.evaluate("location.hash = '#init.none.files@docker-28.5'")
    expect(page.locator("#panel")).to_contain_text("docker-28.5: known deviation")


# ----------------------------------------------------------------------------------- keyboard


def test_keyboard_searches_enters_moves_opens_and_leaves(page):
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("init.none.")
    page.locator("#matrix").focus()
    page.keyboard.press("Tab")
    first = row(page, shown_rows(page)[0])
    expect(first.locator("td a").nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    second = row(page, shown_rows(page)[1]).locator("td a").nth(4)
    expect(second).to_be_focused()
    page.keyboard.press("Enter")
    panel = page.locator("#panel")
    expect(panel).to_be_visible()
    expect(second).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(panel.locator("h3")).to_have_text(shown_rows(page)[0])
    page.keyboard.press("Enter")
    expect(panel).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(first.locator("td a").nth(4)).to_be_focused()


def test_matrix_is_one_stop_of_the_tab_key(page):
    page.locator("#matrix").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('td a')")
    page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.matches('td a')")


def test_arrows_stop_at_the_edges_and_skip_what_is_hidden(page):
    page.get_by_role("checkbox", name="docker-20.10").uncheck()
    start = page.locator(".matrix td a:visible").first
    start.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    expect(start).to_be_focused()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.parentElement.cellIndex") == 3
    page.keyboard.press("Control+End")
    last = page.locator(".matrix td a:visible").last
    expect(last).to_be_focused()
    expect(last).to_be_in_viewport()
    page.keyboard.press("ArrowDown")
    expect(last).to_be_focused()


def test_what_was_chosen_is_told_to_those_who_do_not_see_it(page):
    cell(page, "init.none.only-loopback", "podman-5.8").click()
    told = page.locator("#told")
    expect(told).to_have_attribute("role", "status")
    expect(told).to_contain_text("podman-5.8, init.none.only-loopback: new failure. the links")


# ----------------------------------------------------------------------------------- looks


def test_theme_follows_the_system_until_it_is_chosen(shown):
    page = shown.open(color_scheme="dark")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(ground)
    button = page.get_by_role("button", name="Theme")
    button.click()
    expect(button).to_have_text("Theme: light")
    light = page.evaluate(ground)
    assert light == "rgb(255, 255, 255)"
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == light
    button.click()
    button.click()
    expect(button).to_have_text("Theme: auto")


def test_narrow_window_shows_all_engines_and_never_scrolls_sideways(shown):
    page = shown.open(width=380)
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= 380
    for head in page.locator(".matrix thead th[data-engine]").all():
        box = head.bounding_box()
        assert box["x"] + box["width"] <= 380
    cell(page, "init.none.files", "docker-28.5").click()
    panel = page.locator("#panel")
    expect(panel).to_be_in_viewport()
    box = panel.bounding_box()
    chosen = cell(page, "init.none.files", "docker-28.5").bounding_box()
    assert box["width"] <= 380
    assert chosen["y"] + chosen["height"] <= box["y"], "the panel hides the cell"
    assert page.evaluate(wide) <= 380
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()


def test_narrow_window_shows_counts_and_the_search_without_much_scrolling(shown):
    page = shown.open(width=380)
    line = page.locator(".engines tbody tr", has_text="podman-5.8")
    for said in ("1 ✗", "1 ~", "1 ?"):
        expect(line).to_contain_text(said)
    for one in page.locator(".engines tbody tr").all():
        assert one.bounding_box()["height"] < 80
    assert page.get_by_role("searchbox").bounding_box()["y"] < 700


def test_row_in_a_narrow_window_is_as_high_as_its_sentence(shown):
    page = shown.open(width=380)
    one = row(page, "init.none.files")
    said = one.locator("th").bounding_box()
    cells = one.locator("td").first.bounding_box()
    assert cells["y"] >= said["y"] + said["height"] - 1
    assert cells["height"] < 60


@pytest.mark.parametrize("width", [1280, 380])
def test_address_of_a_cell_shows_it_with_its_heads(shown, width):
    page = shown.open("#ports.reach.chosen-port@docker-28.5", width=width)
    chosen = page.locator(".matrix a[aria-current]")
    expect(chosen).to_be_in_viewport()
    head = page.locator('.matrix thead th[data-engine="docker-28.5"]')
    expect(head).to_be_in_viewport()
    above = head.bounding_box()
    assert above["y"] + above["height"] <= chosen.bounding_box()["y"]


def test_address_of_a_cell_shows_it_above_the_panel_in_a_narrow_window(shown):
    page = shown.open("#init.none.files@docker-28.5", width=380)
    panel = page.locator("#panel")
    expect(panel).to_be_in_viewport()
    chosen = cell(page, "init.none.files", "docker-28.5").bounding_box()
    assert 0 <= chosen["y"] < panel.bounding_box()["y"] - chosen["height"]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (380, "dark")])
def test_nothing_keeps_people_from_using_the_page(shown, axe, width, scheme):
    page = shown.open(width=width, color_scheme=scheme)
    page.get_by_label("Area").select_option("init.none")
    cell(page, "init.none.files", "docker-28.5").click()
    page.evaluate(axe)
    assert page.evaluate(FAULTS) == []


def test_print_has_the_whole_matrix_and_no_controls(page):
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.get_by_role("searchbox")).to_be_hidden()
    expect(page.get_by_role("button", name="Theme")).to_be_hidden()
    expect(page.locator("#verdicts")).to_be_visible()
    matrix = page.locator("#matrix")
    assert matrix.evaluate("e => getComputedStyle(e).overflow") == "visible"
    assert matrix.evaluate("e => e.scrollHeight <= e.clientHeight + 1")
    assert (
        page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_page_is_complete_without_script(shown):
    page = shown.open(java_script_enabled=False)
    expect(page.get_by_role("searchbox")).to_be_hidden()
    cell(page, "init.none.only-loopback", "podman-5.8").click()
    note = page.locator(".note", has_text="init.none.only-loopback").first
    expect(note).to_be_in_viewport()
    expect(note).to_contain_text('["lo"]')
