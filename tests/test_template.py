"""Benchmarks for a project of one's own: what is written runs as it stands."""

from __future__ import annotations

import json
import sys

import pytest

from fusem.testing import gate, template
from fusem.testing.worker import Timer

PROJECT = '[project]\nname = "toy-fits"\n'


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    return tmp_path


def test_what_is_written_runs(project, monkeypatch, capsys):
    assert template.main([]) == 0
    printed = capsys.readouterr().out
    lines = printed[printed.index("[tool.fusem") :]
    assert len(lines.strip().splitlines()) == 3
    (project / "pyproject.toml").write_text(PROJECT + lines, encoding="utf-8")
    settings = gate.settings_of(project)
    own = {
        name: module for name, module in sys.modules.items() if name.startswith("asv_benchmarks")
    }
    for name in own:  # fusem's own benchmarks have the same name
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(project)
    timer = Timer(settings.benchmarks)
    assert timer.names() == [f"asv_benchmarks.fits.Fit.time_{what}" for what in ("fit", "predict")]
    for name in timer.names():
        assert timer.prepare(name) > 0.0
    found = timer.track("asv_benchmarks.fits.Fit.track_minus_log_likelihood")
    assert not found["larger_is_better"]
    assert found["tolerance"] == 1e-6
    assert found["value"] > 0.0
    for name in [name for name in sys.modules if name.startswith("asv_benchmarks")]:
        monkeypatch.delitem(sys.modules, name)
    conf = json.loads((project / "asv_benchmarks/asv.conf.json").read_text("utf-8"))
    assert conf["project"] == "toy-fits"
    assert (project / conf["repo"]).exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("", True),
        ('[build-system]\nbuild-backend = "setuptools.build_meta"\n', True),
        ('[tool.setuptools]\npackages = ["toy_fits"]\n', False),
        ('[build-system]\nbuild-backend = "hatchling.build"\n', False),
    ],
)
def test_who_has_to_name_the_packages_is_told(project, capsys, more, told):
    (project / "pyproject.toml").write_text(PROJECT + more, encoding="utf-8")
    assert template.main([]) == 0
    printed = capsys.readouterr().out
    assert ('include = ["toy_fits"]' in printed) == told


def test_nothing_is_overwritten(project, capsys):
    place = project / "asv_benchmarks/fits.py"
    place.parent.mkdir()
    place.write_text("mine", encoding="utf-8")
    assert template.main([str(project)]) == 2
    assert "asv_benchmarks/fits.py: there already" in capsys.readouterr().err
    assert place.read_text("utf-8") == "mine"
    assert not (project / ".github").exists()


def test_a_folder_without_a_project_is_refused(tmp_path, capsys):
    assert template.main([str(tmp_path)]) == 2
    assert "pyproject.toml is not there" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
