import pytest

from conformance.versions import (
    VersionError,
    docker_release,
    major_minor,
    matches,
    parse_version,
    release_of_api,
)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("20.10.24+dfsg1", "20.10.24"),
        ("20.10.24", "20.10.24"),
        ("17.06.0-ce", "17.6.0"),
        ("28.5.2+dfsg4", "28.5.2"),
        ("4.3.1+ds1-8+deb12u1", "4.3.1"),
        ("5.8.6", "5.8.6"),
        ("5.0.0-dev", "5.0.0"),
        ("28.0.0-rc.1", "28.0.0rc1"),
        ("1.1.0~rc2", "1.1.0rc2"),
        ("v27.1", "27.1"),
        ("1.41", "1.41"),
    ],
)
def test_versions_as_engines_print_them(text, read):
    assert str(parse_version(text)) == read


@pytest.mark.parametrize("text", ["", "master", "dev-4", "x1.2"])
def test_text_without_a_release_is_refused(text):
    with pytest.raises(VersionError, match="not a version"):
        parse_version(text)


@pytest.mark.parametrize(
    ("condition", "version", "is_met"),
    [
        ("", "anything but empty 1", None),
        ("", "20.10.24+dfsg1", True),
        ("<28.0", "20.10.24+dfsg1", True),
        ("==20.10.24", "20.10.24+dfsg1", True),
        (">=28.0", "28.0.0-rc.1", False),
        (">=20.10,<26", "26.1.5+dfsg1", False),
        (">=4.0", "4.3.1+ds1-8+deb12u1", True),
        (">=1.24", "1.41", True),
    ],
)
def test_conditions(condition, version, is_met):
    if is_met is None:
        with pytest.raises(VersionError):
            matches(condition, version)
    else:
        assert matches(condition, version) is is_met


def test_column_names_keep_the_engines_spelling():
    assert major_minor("20.10.24+dfsg1") == "20.10"
    assert major_minor("17.06.0-ce") == "17.06"


@pytest.mark.parametrize(
    ("version", "api", "release"),
    [
        ("28.5.2+dfsg4", "1.51", "28.5.2+dfsg4"),
        # a Docker that was built without a version
        ("dev", "1.52", "29.0"),
        ("0.0.0-dev", "1.44", "25.0"),
        ("library-import", "1.41", "20.10.24"),
        ("", "1.43", "24.0"),
        # one that is newer than this table
        ("dev", "1.99", "29.0"),
    ],
)
def test_release_of_a_docker_that_does_not_name_one(version, api, release):
    assert docker_release(version, api) == release


@pytest.mark.parametrize("api", ["", "1.12", "x"])
def test_api_that_no_known_docker_speaks_is_refused(api):
    with pytest.raises(VersionError):
        release_of_api(api)
