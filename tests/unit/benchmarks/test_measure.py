import pytest

from benchmarks.cases import BRIDGE, FLOOR_CASE, NONE, USER, Case, Figure, plan_cases
from benchmarks.measure import Settings, make_label, outside_in, run_rounds

SETTINGS = Settings(engines=("docker",), rounds=6, warmup_rounds=2, seed=5)


def slots(log: list[str]):
    def slot(name: str, case: Case):
        def take() -> dict[Case, float]:
            log.append(name)
            return {case: float(len(log))}

        return take

    start = Case(Figure.START, "docker", NONE)
    return [slot("floor", FLOOR_CASE), slot("floor", FLOOR_CASE), slot("start", start)]


def test_every_slot_is_taken_once_a_round_and_warmup_is_not_recorded():
    log: list[str] = []
    samples = run_rounds(slots(log), settings=SETTINGS, progress=lambda _text: None)
    assert len(log) == 8 * 3
    assert {case: [len(each) for each in rounds] for case, rounds in samples.items()} == {
        FLOOR_CASE: [2] * 6,
        Case(Figure.START, "docker", NONE): [1] * 6,
    }
    recorded = sorted(sample for rounds in samples.values() for each in rounds for sample in each)
    assert recorded == [float(number) for number in range(7, 25)]


def test_order_differs_between_rounds_and_repeats_with_the_seed():
    first: list[str] = []
    second: list[str] = []
    run_rounds(slots(first), settings=SETTINGS, progress=lambda _text: None)
    run_rounds(slots(second), settings=SETTINGS, progress=lambda _text: None)
    assert first == second
    assert len({tuple(first[index : index + 3]) for index in range(0, 24, 3)}) > 1


def test_progress_says_how_far_it_is():
    said: list[str] = []
    run_rounds(slots([]), settings=SETTINGS, progress=said.append)
    assert [line.split(",")[0] for line in said] == [f"round {n}/8" for n in range(1, 9)]


def test_outside_in_is_the_difference_within_each_round():
    samples = {
        Case(Figure.START, "docker", NONE): [[0.100], [0.200]],
        Case(Figure.START, "docker", BRIDGE): [[0.125], [0.190]],
        Case(Figure.METRIC, "docker", BRIDGE): [[0.009], [0.010]],
    }
    (found,) = outside_in(samples).items()
    case, rounds = found
    assert case == Case(Figure.OUTSIDE_IN, "docker", BRIDGE)
    assert [each[0] for each in rounds] == pytest.approx([0.025, -0.010])


def test_reference_alone_is_measured_in_process_too():
    figures = {case.figure for case in plan_cases(["docker"], [])}
    assert figures == set(Figure) - {Figure.PEER, Figure.IN_PROCESS}
    assert Case(Figure.IN_PROCESS, "reference", USER) in plan_cases(["reference", "docker"], [])


def test_case_ids_are_unique():
    cases = plan_cases(["reference", "docker"], [])
    assert len({case.id for case in cases}) == len(cases) == 27


@pytest.mark.parametrize(
    ("spec", "family", "label"),
    [
        ("docker", "docker", "docker-20.10"),
        ("reference", "refimpl", "reference"),
        ("unix:///var/run/docker.sock", "docker", "external-20.10"),
    ],
    ids=["docker", "reference", "address"],
)
def test_label_says_which_release_it_is_where_the_name_does_not(spec, family, label):
    assert make_label(spec, family=family, version="20.10.24+dfsg1") == label
