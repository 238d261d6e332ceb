"""Every experiment at a small size: it runs, resumes, and records where its numbers come from."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "experiments"
SHARED_DATA = ROOT.parent / "shared" / "data"
SHARED = {"harness", "training"}
EXPERIMENTS = sorted(p for p in FOLDER.glob("*.py") if p.stem not in SHARED)
RECORDED = sorted((FOLDER / "results").glob("*.json"))
HEAD = {"command", "date", "python", "numpy", "torch", "hardware", "code_sha256", "wall_seconds"}

sys.path.insert(0, str(FOLDER))
import harness  # noqa: E402
import training  # noqa: E402


def run(script: Path, results: Path, *options: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if SHARED_DATA.is_dir():
        environment["BNLIB_DATA"] = str(SHARED_DATA)
    command = [sys.executable, str(script), "--small", "--results", str(results), *options]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def check_record(record: dict, name: str) -> None:
    assert set(record) >= HEAD | {"runs"}, name
    assert record["command"].startswith(f"python experiments/{name}.py")
    assert len(record["code_sha256"]) == 64
    configurations = [json.dumps(r["configuration"], sort_keys=True) for r in record["runs"]]
    assert len(set(configurations)) == len(configurations) > 0
    for stored in record["runs"]:
        assert set(stored) == {"configuration", "wall_seconds", "result"}
        assert isinstance(stored["configuration"]["seed"], int)
        assert stored["result"]


@pytest.mark.parametrize("script", EXPERIMENTS, ids=lambda p: p.stem)
def test_small_run_resumes_where_it_stopped(script, tmp_path):
    results = tmp_path / "small.json"
    first = run(script, results)
    assert first.returncode == 0, first.stderr
    record = json.loads(results.read_text("utf-8"))
    check_record(record, script.stem)
    assert "100%" in first.stderr  # the progress bar
    lost = record["runs"].pop()
    results.write_text(json.dumps(record), "utf-8")
    kept = [r["wall_seconds"] for r in record["runs"]]
    assert run(script, results).returncode == 0
    again = json.loads(results.read_text("utf-8"))["runs"]
    assert [r["wall_seconds"] for r in again[:-1]] == kept, "what was stored ran again"
    assert again[-1]["configuration"] == lost["configuration"]
    assert again[-1]["result"] == lost["result"], "the same seed gave another result"


@pytest.mark.parametrize("path", RECORDED, ids=lambda p: p.stem)
def test_recorded_results_are_whole(path):
    """Committed results: the full command, every configuration once, five seeds or more."""
    record = json.loads(path.read_text("utf-8"))
    check_record(record, path.stem)
    assert record["command"] == f"python experiments/{path.stem}.py"
    seeds = {r["configuration"]["seed"] for r in record["runs"]}
    assert len(seeds) >= 5
    script = __import__(path.stem)
    wanted = {harness.key(c) for c in script.configurations(small=False)}
    assert {harness.key(r["configuration"]) for r in record["runs"]} == wanted


def test_results_of_other_code_are_not_mixed_in(tmp_path):
    results = tmp_path / "old.json"
    results.write_text(json.dumps({"code_sha256": "0" * 64, "runs": []}), "utf-8")
    refused = run(FOLDER / "mnist_sigmoids.py", results)
    assert refused.returncode != 0
    assert "--again" in refused.stderr and str(results) in refused.stderr
    assert json.loads(results.read_text("utf-8"))["runs"] == []  # nothing is lost


def test_small_results_need_a_file_of_their_own():
    command = [sys.executable, str(FOLDER / "mnist_sigmoids.py"), "--small"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode != 0 and "--results" in refused.stderr


def test_numbers_are_rounded_and_never_nan():
    value = {"a": [1 / 3, float("nan"), float("inf")], "b": 7, "c": "text"}
    assert harness.rounded(value) == {"a": [0.33333, None, None], "b": 7, "c": "text"}


def test_every_image_comes_once_an_epoch():
    seen = [i for batch in training.batches(10, 3, 7, seed=0, device="cpu") for i in batch.tolist()]
    assert len(seen) == 21
    assert len(set(seen[:9])) == len(set(seen[9:18])) == 9


def test_steps_to():
    assert training.steps_to(0.9, [10, 20, 30], [0.5, 0.95, 0.7]) == 20
    assert training.steps_to(0.99, [10, 20, 30], [0.5, 0.95, 0.7]) is None


def test_looks_are_steps_in_order_and_end_with_the_last():
    for steps in (5, 60, 50_000):
        looks = training.when_to_look(steps)
        assert looks == sorted(set(looks)) and looks[0] >= 1 and looks[-1] == steps
