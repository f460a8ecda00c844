from conformance.capabilities import PROBES
from conformance.catalogue import BEHAVIOURS_MD, CATALOGUE_JSON, behaviours_markdown, catalogue_json
from conformance.registry import FIXTURE_NEEDS, load_catalogue

HINT = "run `python -m conformance list --write` and commit the difference"


def test_catalogue_json_is_what_the_rows_say():
    assert CATALOGUE_JSON.read_text(encoding="utf-8") == catalogue_json(load_catalogue()), HINT


def test_behaviours_page_is_what_the_rows_say():
    assert BEHAVIOURS_MD.read_text(encoding="utf-8") == behaviours_markdown(load_catalogue()), HINT


def test_every_need_has_a_probe():
    needs = {need for row in load_catalogue() for need in row.needs}
    assert needs | set(FIXTURE_NEEDS.values()) <= set(PROBES)
