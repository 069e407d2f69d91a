"""The explorer from end to end: a run on a page, a training that is followed, an end without a traceback."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call

import vaekit
from vaekit import files
from vaekit.errors import FileError, ResourceError, UsageError
from vaekit.explorer import planes, start
from vaekit.explorer.arrays import array_at
from vaekit.explorer.live import Live
from vaekit.explorer.server import Explorer, listening
from vaekit.explorer.subject import opened
from vaekit.explorer.worker import Worker

FORM = {"Content-Type": "application/json", "X-Vaekit": "1"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[vaekit.Run]:
    place = tmp_path_factory.mktemp("explored")
    images = np.random.default_rng(0).integers(0, 256, size=(60, 8, 8)).astype(np.uint8)
    np.savez(place / "data.npz", x=images, y=np.array(["<b>cat</b>", "dog"] * 30))
    with pytest.MonkeyPatch.context() as patch:
        for module in ("vaekit.fitting", "vaekit.launch"):
            patch.setattr(f"{module}.write_report", lambda path: files.write(Path(path) / "report.html", ""))
        yield vaekit.fit(
            place / "data.npz", labels="y", key="x", steps=8, batch_size=16, latent=3, threads=1, evaluate_every=4,
            patience=0, out=place / "run", quiet=True,
        )  # fmt: skip


@pytest.fixture(scope="module")
def server(run: vaekit.Run) -> Iterator[Explorer]:
    with run.explore(browser=False, quiet=True) as found:
        yield found


def get(server: Any, path: str) -> bytes:
    with urllib.request.urlopen(server.url.partition("#")[0] + path, timeout=30) as reply:
        return reply.read()


def ask(server: Any, verb: str, **asked: Any) -> dict[str, Any]:
    address = server.url.partition("#")[0] + f"api/{verb}"
    request = urllib.request.Request(address, json.dumps(asked).encode(), FORM, method="POST")
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


def prints(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): files.sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}


# ---------------------------------------------------------------------- a run


def test_a_run_is_explored_and_nothing_is_written(run: vaekit.Run, server: Explorer) -> None:
    before = prints(run.path)
    facts, content = json.loads(get(server, "facts.json")), get(server, "arrays.bin")
    assert facts["source"] == "server" and not facts["live"] and facts["title"] == run.path.name
    assert facts["labels"] == ["<b>cat</b>", "dog"] and facts["metrics"]["n"] == run.metrics["n"]
    assert facts["points"]["count"] == 60 and facts["points"]["sampled"] is None
    codes = array_at(facts["points"]["codes"], content)
    made = ask(server, "decode", codes=codes[:2].tolist(), condition=None)["items"]
    assert [one["image"]["shape"] for one in made] == [[8, 8, 1]] * 2
    found = ask(server, "encode", item={"index": 4}, condition=None)
    assert np.allclose(found["code"], codes[4], atol=1e-4) and found["nearest"][0]["index"] == 4
    assert ask(server, "encode", item=found["item"], condition=None)["code"] == pytest.approx(
        found["code"], abs=1e-4
    )
    assert len(ask(server, "path", codes=codes[:3].tolist(), condition=None)["nll"]) == 3
    assert get(server, "") == get(server, "index.html")
    assert prints(run.path) == before


def test_the_points_are_held_out_and_trained_on_as_the_run_had_them(
    run: vaekit.Run, server: Explorer
) -> None:
    facts, content = json.loads(get(server, "facts.json")), get(server, "arrays.bin")
    split = next(column for column in facts["points"]["columns"] if column["name"] == "split")
    assert split["names"] == ["held out", "trained on"]
    held = array_at(split["values"], content) == 0
    assert held.sum() == run.metrics["n"]
    kl = array_at(facts["points"]["kl"], content)[held].mean()
    assert kl == pytest.approx(run.metrics["rate"], rel=1e-3)


def test_a_map_that_takes_long_is_made_when_it_is_asked_for(
    run: vaekit.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def neighboured(codes: np.ndarray) -> planes.Plane:
        asked.append(len(codes))
        return planes.Plane("umap", "Neighbours", ("", ""), codes[:, :2].astype(float), codes.mean(0), None)

    monkeypatch.setattr(planes, "later", lambda codes: ["umap"])
    monkeypatch.setattr(planes, "neighboured", neighboured)
    with run.explore(browser=False, quiet=True) as server:
        before = json.loads(get(server, "facts.json"))
        assert [one["id"] for one in before["later"]] == ["umap"] and not asked
        for _ in range(2):
            assert ask(server, "draw", id="umap") == {}
        facts, content = json.loads(get(server, "facts.json")), get(server, "arrays.bin")
        assert [one["id"] for one in facts["maps"]] == ["dims", "pca", "umap"] and not facts["later"]
        assert asked == [60], "made once"
        codes = array_at(facts["points"]["codes"], content)
        assert np.array_equal(array_at(facts["maps"][2]["xy"], content), codes[:, :2])
        assert ask(server, "encode", item={"index": 4}, condition=None)["nearest"][0]["index"] == 4


@pytest.mark.parametrize(
    ("verb", "asked", "status", "code"),
    [
        ("decode", {"codes": [[0.0]]}, 422, "E212"), ("encode", {"item": {"index": 99}}, 422, "E103"),
        ("encode", {}, 422, "E212"), ("decode", {"codes": [[0.0] * 3], "condition": 7}, 422, "E103"),
        ("live", {"after": 0}, 404, "H404"), ("none", {}, 404, "H404"), ("draw", {"id": "tsne"}, 422, "E212"),
        ("draw", {}, 422, "E212"), ("draw", {"id": ["umap"]}, 422, "E212"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_said(
    server: Explorer, verb: str, asked: Any, status: int, code: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(server, verb, **asked)
    with refused.value as reply:
        assert reply.status == status and json.loads(reply.read())["error"]["code"] == code


def test_a_fault_of_ours_is_not_told_to_the_page(
    server: Explorer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(asked: Any) -> Any:
        raise RuntimeError("/a/secret/path")

    monkeypatch.setattr(server.stage.scene.answers, "decode", broken)
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(server, "decode", codes=[[0.0] * 3])
    with refused.value as reply:
        assert reply.status == 500 and b"secret" not in reply.read()
    assert "secret" in capsys.readouterr().err
    assert ask(server, "path", codes=[[0.0] * 3], condition=None)["items"]


def test_the_model_is_asked_one_call_after_the_other(server: Explorer) -> None:
    worker, running, most = Worker(), [0], []

    def one() -> None:
        running[0] += 1
        most.append(running[0])
        time.sleep(0.002)
        running[0] -= 1

    for future in [worker.submit(one) for _ in range(10)]:
        future.result(10)
    assert most == [1] * 10
    waiting = threading.Event()
    first, second = worker.submit(waiting.wait), worker.submit(one)
    assert second.cancel()  # whoever no longer waits is left out
    waiting.set()
    assert first.result(10) and len(most) == 10


def test_without_the_data_the_map_is_of_what_the_folder_keeps(run: vaekit.Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "moved")
    told = files.read_json(tmp_path / "moved" / "run.json")
    files.write_json(tmp_path / "moved" / "run.json", {**told, "data": {**told["data"], "path": "gone.npz"}})
    moved = vaekit.open(tmp_path / "moved")
    with moved.explore(browser=False, quiet=True) as found:
        facts, content = json.loads(get(found, "facts.json")), get(found, "arrays.bin")
    assert "codes kept with the model: the data" in facts["points"]["sampled"]
    assert (
        facts["points"]["count"] == 60 and facts["points"]["shown"] == {"count": 0} and "items" not in facts
    )
    images = np.load(run.path.parent / "data.npz")["x"]
    known = np.sort(run.encode(images)[:, 0])
    assert np.allclose(np.sort(array_at(facts["points"]["codes"], content)[:, 0]), known, atol=1e-4)
    assert len(array_at(facts["heldout"], content)) == run.metrics["n"]


# ---------------------------------------------------------------------- a training


@pytest.fixture
def training(run: vaekit.Run, tmp_path: Path) -> Path:
    """A run folder as it is at the beginning of a training."""
    place = tmp_path / "training"
    place.mkdir()
    shutil.copy(run.path / "config.yaml", place)
    told = files.read_json(run.path / "run.json")
    files.write_json(place / "run.json", {**told, "status": "running", "metrics": None})
    return place


def test_a_training_is_followed_from_its_first_line_to_its_end(run: vaekit.Run, training: Path) -> None:
    with Live(training) as live, Explorer(live) as server:
        facts = json.loads(get(server, "facts.json"))
        assert facts["live"] and facts["points"]["count"] == 0 and facts["preset"] == "vae"
        assert facts["edition"] == 0
        assert ask(server, "live", after=0) == {
            "records": [],
            "line": 0,
            "status": "running",
            "edition": 0,
        }
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(server, "decode", codes=[[0.0]])
        refused.value.close()
        lines = (run.path / "metrics.jsonl").read_text().splitlines(keepends=True)
        (training / "metrics.jsonl").write_text(lines[0] + lines[1] + '{"step": 9')
        news = ask(server, "live", after=0)
        assert news["records"] == [json.loads(line) for line in lines[:2]] and news["line"] == 2
        assert ask(server, "live", after=2)["records"] == []
        shutil.copytree(run.path / "model", training / "model")
        assert live.look() and not live.look()
        assert ask(server, "live", after=2)["edition"] == 1
        facts = json.loads(get(server, "facts.json"))
        assert facts["points"]["count"] == 60 and facts["live"] and facts["edition"] == 1
        assert ask(server, "decode", codes=[[0.0] * 3])["items"]
        told = files.read_json(training / "run.json")
        files.write_json(training / "run.json", {**told, "status": "finished"})
        assert ask(server, "live", after=0)["status"] == "complete"


def test_a_model_that_changes_in_the_moment_is_taken_at_the_next_look(
    run: vaekit.Run, training: Path
) -> None:
    shutil.copytree(run.path / "model", training / "model")
    weights = (training / "model" / "weights.safetensors").read_bytes()
    (training / "model" / "weights.safetensors").write_bytes(weights[:-1])
    live = Live(training)
    assert live.version == 0 and live.scene.answers is None
    (training / "model" / "weights.safetensors").write_bytes(weights)
    assert live.look() and live.version == 1
    before = live.scene
    shutil.rmtree(training / "model")
    assert not live.look() and live.scene is before


def test_whatever_goes_wrong_in_a_look_the_next_one_is_made(
    run: vaekit.Run, training: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(run.path / "model", training / "model")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("size mismatch")

    with monkeypatch.context() as patched:
        patched.setattr("vaekit.explorer.live.explored", broken)
        stage = Live(training)
        assert not stage.look() and stage.version == 0
    assert stage.look() and stage.version == 1


def test_following_reads_and_never_writes(
    run: vaekit.Run, training: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(run.path / "model", training / "model")
    before = prints(training)
    monkeypatch.setattr(files, "writing", lambda path: pytest.fail(f"written: {path}"))
    live = Live(training)
    live.news(0)
    assert live.version == 1 and prints(training) == before


def test_following_looks_by_itself(run: vaekit.Run, training: Path) -> None:
    with Live(training, every=0.01).start() as live:
        shutil.copytree(run.path / "model", training / "model")
        until = time.monotonic() + 30
        while live.version == 0 and time.monotonic() < until:
            time.sleep(0.01)
        assert live.version >= 1


@pytest.mark.parametrize("after", [-1, 1.5, "0", None, True])
def test_lines_are_counted(training: Path, after: Any) -> None:
    with pytest.raises(UsageError):
        Live(training).news(after)


def test_a_training_that_began_again_is_told_from_its_first_line(run: vaekit.Run, training: Path) -> None:
    shutil.copy(run.path / "metrics.jsonl", training)
    live = Live(training)
    assert live.news(10_000)["line"] == len(live.news(0)["records"]) > 0


def test_damaged_files_of_a_training_are_passed_over(training: Path) -> None:
    (training / "metrics.jsonl").write_bytes(b'{"step": 1}\nnot json\n[1]\n{"step": 2}\n\xff\n')
    assert Live(training).news(0)["records"] == []  # not text
    (training / "metrics.jsonl").write_text('{"step": 1}\nnot json\n[1]\n{"step": 2}\n')
    (training / "run.json").write_text("{")
    news = Live(training).news(0)
    assert (
        [one["step"] for one in news["records"]] == [1, 2]
        and news["line"] == 4
        and news["status"] == "running"
    )


def test_what_is_no_run_is_not_followed(tmp_path: Path) -> None:
    with pytest.raises(FileError):
        Live(tmp_path)


# ---------------------------------------------------------------------- beginning and end


def test_the_page_opens_in_the_browser(
    run: vaekit.Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr("webbrowser.open", opened.put)
    with run.explore() as server:
        assert opened.get(timeout=60) == server.url and server.url in capsys.readouterr().err


def test_without_the_extra_the_pip_line_is_said(run: vaekit.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    answer = call("explore", run.path, "--no-browser")
    assert answer.code == 5 and "E404" in answer.err and "pip install 'vaekit[web]'" in answer.err


def test_a_port_in_use_and_an_address_of_others_are_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ResourceError, match="in use") as error:
            listening("127.0.0.1", taken.getsockname()[1])
        assert error.value.code == "E406"
    for host in ("192.0.2.1", "no.such.name.invalid"):
        with pytest.raises(ResourceError, match="cannot be listened on"):
            listening(host, 0)


def test_a_port_in_use_is_said_before_anything_is_computed(
    server: Explorer, run: vaekit.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def computed(*given: Any) -> None:
        pytest.fail("points were gathered for a page that nobody can open")

    monkeypatch.setattr(start, "_gathered", computed)
    with pytest.raises(ResourceError, match="in use"):
        run.explore(port=server.port, browser=False, quiet=True)


def test_what_is_no_run_is_not_explored(tmp_path: Path) -> None:
    answer = call("explore", tmp_path, "--no-browser")
    assert answer.code == 4 and "E301" in answer.err


@pytest.fixture
def signals_kept() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("signals_kept")
def test_ctrl_c_ends_it_as_it_should_end(run: vaekit.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = Explorer.wait

    def stopped(server: Explorer, *given: Any) -> None:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        wait(server, *given)

    monkeypatch.setattr(Explorer, "wait", stopped)
    answer = call("explore", run.path, "--no-browser", "--json")
    assert answer.code == 0 and json.loads(answer.out)["url"].startswith("http://127.0.0.1:")


@pytest.mark.usefixtures("signals_kept")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_browser_that_is_waited_for_keeps_nobody_from_ending_it(
    run: vaekit.Run, monkeypatch: pytest.MonkeyPatch, signum: signal.Signals
) -> None:
    """A browser in the terminal goes on until it is closed."""
    closed, gone = threading.Event(), threading.Event()

    def waited_for(url: str) -> None:
        os.kill(os.getpid(), signum)
        closed.wait(60)
        gone.set()

    monkeypatch.setattr("webbrowser.open", waited_for)
    answer = call("explore", run.path)
    still_there = not gone.is_set()
    closed.set()
    assert still_there and answer.code == 0 and "explorer: ended" in answer.err


@pytest.mark.usefixtures("signals_kept")
def test_ctrl_c_before_anyone_waits_ends_it_too(run: vaekit.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """People have read by then that it ends it."""
    said = start.say

    def pressed(line: str) -> None:
        said(line)
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(start, "say", pressed)
    answer = call("explore", run.path, "--no-browser")
    assert answer.code == 0 and "explorer: ended" in answer.err


def test_a_script_waits_for_ctrl_c(run: vaekit.Run) -> None:
    before = signal.getsignal(signal.SIGINT)
    with run.explore(browser=False, quiet=True) as server:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        server.wait()
    assert signal.getsignal(signal.SIGINT) is before, "signals are handed back"


def test_ctrl_c_twice_ends_without_a_traceback(run: vaekit.Run) -> None:
    words = [sys.executable, "-m", "vaekit", "explore", str(run.path), "--live"]
    alone = {**os.environ, "BROWSER": "true"}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=alone) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert address, line
        with urllib.request.urlopen(address[0] + "facts.json", timeout=60) as reply:
            assert json.loads(reply.read())["points"]["count"] == 60
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in said, said


def test_nothing_is_left_when_it_has_ended(run: vaekit.Run) -> None:
    server = start.explore(opened(run.path), "127.0.0.1", 0, quiet=True)
    port = server.port
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
