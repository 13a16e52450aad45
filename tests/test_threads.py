"""How many threads there are: asked for, in the environment, or what the process may use."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

import fastconv
from fastconv import threads
from fastconv.arguments import parse_int
from fastconv.errors import ArgumentError, ArgumentTypeError

LEFT = "import fastconv; print(fastconv.get_num_threads())"
CAUGHT = """
import numpy as np, fastconv
x = np.ones((1, 1, 8, 8))
fastconv.max_pool2d(x, 2)  # too little for a second thread
big = np.ones((8, 64, 56, 56), np.float32)
for ask in (fastconv.get_num_threads, lambda: fastconv.max_pool2d(big, 2)):
    for _ in range(2):
        try:
            ask()
        except fastconv.ArgumentError as error:
            print(error.operation, "|", error.parameter, "|", error.rule, "|", len(error.value))
fastconv.set_num_threads(1)
print(fastconv.get_num_threads(), fastconv.max_pool2d(big, 2).shape)
"""


def run(environment, code, **variables):
    given = {k: v for k, v in environment.items() if not k.endswith("_NUM_THREADS")}
    return subprocess.run(
        [sys.executable, "-c", code], env={**given, **variables}, capture_output=True, text=True
    )


@pytest.mark.parametrize("variable", ["FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"])
@pytest.mark.parametrize(
    ("value", "count"), [("2,1", 2), (" 3 ", 3), ("1,", 1), ("+2", 2), ("0004", 4), ("9999", 256)]
)
def test_the_environment_gives_the_number(environment, variable, value, count):
    done = run(environment, LEFT, **{variable: value})
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str(count), "")


@pytest.mark.parametrize("variable", ["FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"])
@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("\N{SUPERSCRIPT TWO}", "must be at least 1"),
        ("\N{ARABIC-INDIC DIGIT TWO}", "must be at least 1"),
        ("9" * 5000, "must be at most 2147483647"),
        ("1_000", "must be at least 1"),
        ("-1", "must be at least 1"),
        ("0,2", "must be at least 1"),
        (",2", "must be at least 1"),
        ("2.0", "must be at least 1"),
    ],
    ids=ascii,
)
def test_what_is_wrong_there_is_raised_by_what_needs_it_first(environment, variable, value, rule):
    done = run(environment, CAUGHT, **{variable: value})
    assert done.returncode == 0, done.stderr
    told = f"fastconv | the environment variable {variable} | {rule} | {len(value)}"
    assert done.stdout.splitlines() == [told] * 4 + ["1 (8, 64, 28, 28)"]


def test_doctor_says_it(environment):
    command = [sys.executable, "-m", "fastconv", "doctor"]
    given = {**environment, "FASTCONV_NUM_THREADS": "9" * 5000}
    done = subprocess.run(command, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "BROKEN" in line]
    assert "FASTCONV_NUM_THREADS must be at most" in line and len(line) < 250


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "150000 0\n"}, None),
        ({"cpu.max": f"{'9' * 5000} 100000\n"}, "huge"),
        ({"cpu.max": "\N{SUPERSCRIPT TWO} 100000\n"}, None),
        (
            {
                "cpu.max": "100000\n",
                "cpu/cpu.cfs_quota_us": "200000\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            },
            2.0,
        ),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "5\n"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_the_group(tmp_path, files, cpus):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    found = threads.quota_cpus(tmp_path)
    assert found > 1e6 if cpus == "huge" else found == cpus


def test_no_more_threads_than_the_quota(monkeypatch):
    monkeypatch.setattr(threads, "affinity_cpus", lambda: 8)
    for quota, count in ((None, 8), (0.5, 1), (2.2, 3), (1e90, 8)):
        monkeypatch.setattr(threads, "quota_cpus", lambda quota=quota: quota)
        assert threads.usable_cpus() == count


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (0, ArgumentError),
        (257, ArgumentError),
        (True, ArgumentTypeError),
        ("2", ArgumentTypeError),
        (1.0, ArgumentTypeError),
    ],
)
def test_a_wrong_number_is_refused(value, error):
    before = fastconv.get_num_threads()
    with pytest.raises(error, match="set_num_threads: n must be"):
        fastconv.set_num_threads(value)
    assert fastconv.get_num_threads() == before


def test_an_integer_of_a_text():
    assert [parse_int(text) for text in ("7", " -07\n", "+0", "9" * 200)] == [7, -7, 0, 10**100]
    for text in ("", " ", "-", "1 2", "1e3", "0x2", "\N{FULLWIDTH DIGIT TWO}", "1.0"):
        assert parse_int(text) is None


def test_threads_of_control_share_the_threads():
    """An equal share each, which grows no more before a block ends."""
    before = fastconv.get_num_threads()
    fastconv.set_num_threads(7)
    inside, go_on = threading.Event(), threading.Event()

    def other():
        with threads.sharing():
            inside.set()
            go_on.wait(60)

    try:
        with threads.sharing():
            assert fastconv.get_num_threads() == 7
            with threads.sharing(4), threads.sharing(5):
                assert fastconv.get_num_threads() == 4
            assert fastconv.get_num_threads() == 7
            second = threading.Thread(target=other)
            second.start()
            assert inside.wait(60)
            assert fastconv.get_num_threads() == 3
            go_on.set()
            second.join()
            assert fastconv.get_num_threads() == 3
        assert fastconv.get_num_threads() == 7
        with pytest.raises(ZeroDivisionError), threads.sharing(1):
            1 / 0  # noqa: B018
        assert fastconv.get_num_threads() == 7
        with threads.sharing(2):
            fastconv.set_num_threads(1)
            assert fastconv.get_num_threads() == 1
    finally:
        go_on.set()
        fastconv.set_num_threads(None)
    assert fastconv.get_num_threads() == before


def test_there_is_at_least_one_for_each():
    fastconv.set_num_threads(1)
    inside, go_on = threading.Event(), threading.Event()

    def other():
        with threads.sharing():
            inside.set()
            go_on.wait(60)

    second = threading.Thread(target=other)
    try:
        second.start()
        assert inside.wait(60) and fastconv.get_num_threads() == 1
        with threads.sharing():
            assert fastconv.get_num_threads() == 1
    finally:
        go_on.set()
        second.join()
        fastconv.set_num_threads(None)
