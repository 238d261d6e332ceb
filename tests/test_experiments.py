"""Every experiment at a small size: it runs, resumes, and records where its numbers come from."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from small_data import run_small

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "experiments"
SHARED_DATA = ROOT.parent / "shared" / "data"
SHARED = {"harness", "training"}
EXAMPLES = {"distributed"}  # record nothing
EXPERIMENTS = sorted(p for p in FOLDER.glob("*.py") if p.stem not in SHARED | EXAMPLES)
WITH_LARGER = [p for p in EXPERIMENTS if "def full_configurations" in p.read_text("utf-8")]
RECORDED = sorted((FOLDER / "results").glob("*.json"))
SCHEMA = json.loads((FOLDER / "schema.json").read_text("utf-8"))

sys.path.insert(0, str(FOLDER))
import harness  # noqa: E402
import training  # noqa: E402


@pytest.fixture(autouse=True)
def shared_data(monkeypatch):
    if SHARED_DATA.is_dir():
        monkeypatch.setenv("BNLIB_DATA", str(SHARED_DATA))


def check_record(record: dict, name: str) -> None:
    jsonschema.validate(record, SCHEMA)
    assert record["command"].startswith(f"python experiments/{name}.py")
    configurations = [harness.key(stored["configuration"]) for stored in record["runs"]]
    assert len(set(configurations)) == len(configurations)


@pytest.mark.parametrize("script", EXPERIMENTS, ids=lambda p: p.stem)
def test_small_run_resumes_where_it_stopped(script, tmp_path):
    results = tmp_path / "small.json"
    small = ("--small", "--results", str(results))
    first = run_small(script, *small)
    assert first.returncode == 0, first.stderr
    record = json.loads(results.read_text("utf-8"))
    check_record(record, script.stem)
    assert "100%" in first.stderr  # the progress bar
    lost = record["runs"].pop()
    results.write_text(json.dumps(record), "utf-8")
    kept = [r["wall_seconds"] for r in record["runs"]]
    assert run_small(script, *small).returncode == 0
    again = json.loads(results.read_text("utf-8"))["runs"]
    assert [r["wall_seconds"] for r in again[:-1]] == kept, "what was stored ran again"
    assert again[-1]["configuration"] == lost["configuration"]
    assert again[-1]["result"] == lost["result"], "the same seed gave another result"


@pytest.mark.parametrize("path", RECORDED, ids=lambda p: p.stem)
def test_recorded_results_are_whole(path):
    """Committed results: of this code, every configuration once, five seeds or more."""
    record = json.loads(path.read_text("utf-8"))
    name, is_full = path.stem.removesuffix("_full"), path.stem.endswith("_full")
    check_record(record, name)
    assert record["command"] == f"python experiments/{name}.py" + " --full" * is_full
    assert record["code_sha256"] == harness.fingerprint(FOLDER / f"{name}.py")
    seeds = {r["configuration"]["seed"] for r in record["runs"]}
    assert len(seeds) >= 5
    script = importlib.import_module(name)
    listed = script.full_configurations() if is_full else script.configurations(small=False)
    wanted = {harness.key(c) for c in listed}
    assert {harness.key(r["configuration"]) for r in record["runs"]} == wanted


def test_results_of_other_code_are_not_mixed_in(tmp_path):
    results = tmp_path / "old.json"
    results.write_text(json.dumps({"code_sha256": "0" * 64, "runs": []}), "utf-8")
    refused = run_small(FOLDER / "mnist_sigmoids.py", "--small", "--results", str(results))
    assert refused.returncode != 0
    assert "--again" in refused.stderr and str(results) in refused.stderr
    assert json.loads(results.read_text("utf-8"))["runs"] == []  # nothing is lost


def test_small_results_need_a_file_of_their_own():
    command = [sys.executable, str(FOLDER / "mnist_sigmoids.py"), "--small"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode != 0 and "--results" in refused.stderr


def test_a_script_without_a_larger_version_says_so(capsys):
    with pytest.raises(SystemExit):
        harness.parse(FOLDER / "mnist_sigmoids.py", ["--full"], has_full=False)
    assert "--full: mnist_sigmoids.py has no larger version" in capsys.readouterr().err


def larger(configuration, device):
    return {"accuracy": 0.9}


def test_a_larger_version_has_its_own_results(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "FOLDER", tmp_path)
    both = [{"seed": 0, "width": 8}], [{"seed": 0, "width": 512}]
    for arguments in ([], ["--full"]):
        harness.main(lambda small: both[0], larger, arguments, full=lambda: both[1])
    records = [
        json.loads((tmp_path / "results" / f"test_experiments{end}.json").read_text("utf-8"))
        for end in ("", "_full")
    ]
    assert [record["command"].split()[2:] for record in records] == [[], ["--full"]]
    assert [[r["configuration"] for r in record["runs"]] for record in records] == list(both)
    for record in records:
        check_record(record, "test_experiments")


@pytest.mark.parametrize("script", WITH_LARGER, ids=lambda p: p.stem)
def test_a_larger_version_is_the_same_experiment(script):
    module = importlib.import_module(script.stem)
    usual, full = module.configurations(small=False), module.full_configurations()
    assert {frozenset(c) for c in full} == {frozenset(c) for c in usual}  # what a run is told
    assert len({c["seed"] for c in full}) >= 5
    assert not {harness.key(c) for c in full} & {harness.key(c) for c in usual}


def test_results_name_the_code_that_ran_and_not_what_it_was_asked_for(tmp_path):
    script = tmp_path / "experiment.py"
    code = '"""One."""\n\nRATE = 1\n\n\ndef configurations(small):\n    return [1]\n'
    script.write_text(code)
    first = harness.what_runs(script)
    script.write_text(code.replace("One", "Two").replace("[1]", "[1,\n     2]"))
    assert harness.what_runs(script) == first
    script.write_text(code.replace("RATE = 1", "RATE = 2"))
    assert harness.what_runs(script) != first


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("hardware"),
        lambda record: record.update(command="python somewhere/else.py"),
        lambda record: record.update(code_sha256="unknown"),
        lambda record: record["runs"].clear(),
        lambda record: record["runs"][0].pop("result"),
        lambda record: record["runs"][0]["result"].clear(),
        lambda record: record["runs"][0]["configuration"].pop("seed"),
        lambda record: record["runs"][0]["configuration"].update(widths=[1, 2]),
    ],
)
def test_schema_notices_what_is_missing(damage):
    record = json.loads(RECORDED[0].read_text("utf-8"))
    damage(record)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record, SCHEMA)


@pytest.mark.parametrize(("option", "of"), [([], 8), (["--plain"], 4)])
def test_two_workers_train_together(option, of):
    """The documented command, over gloo on a machine without GPUs."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = [str(FOLDER / "distributed.py"), "--batch", "8", "--steps", "30", *option]
    trained = subprocess.run(
        [sys.executable, *command, *script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert trained.returncode == 0, trained.stderr[-2000:]
    assert trained.stdout.startswith(f"2 workers, 8 images a step, statistics of {of}: loss ")
    assert float(trained.stdout.split()[-1].rstrip("%")) > 15  # chance is 10


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
