"""The demo finds what it promises, on a small file in step 5."""

from __future__ import annotations

import numpy as np
import pytest

from fusem import demo
from fusem.demo import pictures
from fusem.demo.by_hand import PRINT_EVERY
from fusem.demo.truth import NAMES, TRUTH, draw
from tests import processes

SMALL = 50_000


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def result(tmp_path_factory, told):
    out = tmp_path_factory.mktemp("demo") / "pictures"
    return demo.run(out, n_large=SMALL, n_starts=6, seed=0, echo=told.append)


def test_every_scan_peaks_at_the_truth(result):
    assert [scan.name for scan in result.scans] == list(NAMES)
    for scan in result.scans:
        assert scan.peak == pytest.approx(getattr(TRUTH, scan.name)), scan.name
    weights = result.scans[0]
    np.testing.assert_allclose(weights.grid, np.arange(11) / 10)
    assert weights.peak == pytest.approx(0.3)


def test_em_by_hand_starts_and_ends_where_it_says(result):
    first, last = result.path.parameters[0], result.path.parameters[-1]
    assert first.p == 0.5
    assert first.sd1 == first.sd2
    for name, tolerance in zip(NAMES, (0.03, 0.2, 0.15, 0.2, 0.15), strict=True):
        assert getattr(last, name) == pytest.approx(getattr(TRUTH, name), abs=tolerance), name
    assert np.min(np.diff(result.path.logliks)) >= -1e-10
    assert len(result.path.logliks) == len(result.path.parameters)


def test_parameters_are_printed_every_fourth_iteration(result, told):
    lines = "\n".join(told).split("EM by hand")[1].split("\n3. ")[0].splitlines()
    printed = [
        int(line.split()[0])
        for line in lines
        if line.split()[:1][0:1] and line.split()[0].isdigit() and "." in line
    ]
    assert printed == list(range(0, len(result.path.parameters) - 1, PRINT_EVERY))
    assert any(line.lstrip().startswith("final") for line in lines)
    assert any(line.lstrip().startswith("truth") for line in lines)


def test_restarts_say_how_many_reached_the_best(result, told):
    restarts = result.restarts
    assert len(restarts.logliks) == 6
    assert 1 <= restarts.n_best <= 6
    assert max(restarts.logliks) >= result.path.logliks[-1] - 1e-6
    assert any(f"{restarts.n_best} of 6 reached the best optimum" in line for line in told)


def test_the_pictures_are_there_and_listed_at_the_end(result, told):
    assert {picture.stem for picture in result.pictures} == {
        "density",
        "densities-by-weight",
        "loglik-scans",
        "parameter-paths",
        "responsibilities",
    }
    for picture in result.pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert f"  {picture}" in told[-5:]


def test_legends_count_components_from_one_as_the_texts_do(result):
    x = draw(500, 0)
    for picture in (pictures.fitted_density, pictures.responsibilities):
        (ax,) = picture(x, result.path).axes
        named = [text.get_text() for text in ax.get_legend().get_texts()]
        assert [name for name in named if "component" in name] == ["component 1", "component 2"]


def test_the_large_file_is_fitted(result, told):
    large = result.large
    assert large.n_rows == SMALL
    assert large.rows_per_second > 0
    assert large.parameters.p == pytest.approx(TRUTH.p, abs=0.02)
    assert any("million rows per second" in line for line in told)


def test_without_matplotlib_it_runs_and_says_so(tmp_path):
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from fusem import demo\n"
        f"result = demo.run({str(tmp_path / 'out')!r}, n_large=5000, n_starts=2)\n"
        "assert result.pictures == []\n"
    )
    out = processes.run(code)
    assert "No pictures" in out
    assert "pip install 'fusem[plot]'" in out
    assert not (tmp_path / "out").exists()
