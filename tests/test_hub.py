"""Push and pull against a hub that is a folder: what is sent, what is taken, and what is refused."""

import builtins
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import vaekit
from vaekit import files, hub, model_card, persistence, presets
from vaekit.cli import main
from vaekit.data import Vectors
from vaekit.errors import FileError, HubError, ResourceError, UsageError
from vaekit.hub import Sharing

SHA = "0123456789abcdef0123456789abcdef01234567"


class Folder:
    """A hub in a folder, with the signatures of huggingface_hub 1 and 2 that are used."""

    def __init__(self, root: Path) -> None:
        self.root, self.private, self.asked = root, None, []
        self.raises: Exception | None = None

    def create_repo(self, repo_id, *, token=None, private=None, repo_type=None, exist_ok=False):
        self.private = private
        assert exist_ok and repo_type is None
        (self.root / repo_id).mkdir(parents=True, exist_ok=True)
        (self.root / repo_id / ".gitattributes").write_text("*.safetensors filter=lfs\n")

    def upload_folder(
        self, *, repo_id, folder_path, path_in_repo=None, commit_message=None, token=None, repo_type=None,
        revision=None, allow_patterns=None, ignore_patterns=None, delete_patterns=None,
    ):  # fmt: skip
        for name in delete_patterns or []:
            (self.root / repo_id / name).unlink(missing_ok=True)
        shutil.copytree(folder_path, self.root / repo_id, dirs_exist_ok=True)
        return SimpleNamespace(oid=SHA)

    def model_info(
        self, repo_id, *, revision=None, timeout=None, files_metadata=False, expand=None, token=None
    ):
        if self.raises is not None:
            raise self.raises
        assert files_metadata
        self.asked.append(revision)
        place = self.root / repo_id
        names = [p for p in place.rglob("*") if not p.is_dir() or p.is_symlink()]
        siblings = [
            SimpleNamespace(rfilename=p.relative_to(place).as_posix(), size=p.lstat().st_size) for p in names
        ]
        return SimpleNamespace(sha=SHA, siblings=siblings)

    def snapshot_download(
        self,
        repo_id,
        *,
        repo_type=None,
        revision=None,
        cache_dir=None,
        local_dir=None,
        token=None,
        allow_patterns=None,
    ):
        self.asked.append(revision)
        shutil.copytree(self.root / repo_id, local_dir, dirs_exist_ok=True, symlinks=True)
        (Path(local_dir) / ".cache" / "huggingface").mkdir(parents=True)
        return str(local_dir)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A run folder with a model, coded items and things that are nobody else's business."""
    run = tmp_path_factory.mktemp("hub") / "run"
    kind = Vectors(4)
    card = model_card.written({"name": "m", "preset": "vae"}, {"kind": "vectors"}, coded=3)
    torch.manual_seed(0)
    made, _ = presets.vae(kind, latent=2)
    reference = {"train.codes": torch.zeros(3, 2)}
    persistence.save(run / "model", made, kind, {"scores": [1.0]}, {"preset": "vae"}, card, reference)
    (run / "run.json").write_text(json.dumps({"format": 1, "data": {"path": "/home/somebody/x.csv"}}))
    (run / "report.html").write_text("pictures of the data")
    return run


@pytest.fixture
def api(tmp_path) -> Folder:
    return Folder(tmp_path / "hub")


def test_a_model_comes_back_as_it_went(model, api, tmp_path) -> None:
    sent = hub.push(model, "me/m", Sharing("mit"), api)
    there = {p.name for p in (api.root / "me/m").iterdir()} - {".gitattributes"}
    assert there == set(sent.files) and "report.html" not in there and "run.json" not in there
    assert sent.revision == SHA and api.private is False
    taken = hub.pull("me/m", tmp_path / "a" / "m", revision="main", api=api)
    assert taken.revision == SHA and set(taken.files) == set(sent.files)
    assert api.asked == ["main", SHA]  # what was looked at is what is taken
    again, first = vaekit.open(tmp_path / "a" / "m"), vaekit.open(model)
    assert (again.encode(torch.ones(1, 4)) == first.encode(torch.ones(1, 4))).all()
    text = (tmp_path / "a" / "m" / "README.md").read_text()
    assert model_card.front(text)["license"] == "mit"
    assert (
        not list((tmp_path / "a").glob(".*")) and {p.name for p in (tmp_path / "a" / "m").iterdir()} == there
    )


def test_coded_items_are_sent_only_if_it_is_said(model, api) -> None:
    kept = hub.push(model, "me/m", Sharing("mit", "private", ("reference",)), api)
    assert hub.REFERENCE in kept.files and not kept.left_out and api.private is True
    left = hub.push(model, "me/m", Sharing("mit"), api)
    assert left.left_out == (hub.REFERENCE,) and not (api.root / "me/m" / hub.REFERENCE).exists()
    assert (model / "model" / hub.REFERENCE).exists()  # the run itself keeps it
    assert files.check(api.root / "me/m")
    assert "license: unknown" in (model / "model" / "README.md").read_text()


def tampered(place: Path) -> None:
    weights = bytearray((place / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (place / "weights.safetensors").write_bytes(weights)


def extra(place: Path) -> None:
    (place / "code.py").write_text("print()")


def pickled(place: Path) -> None:
    (place / "model.pkl").write_bytes(b"\x80\x04.")


def within(place: Path) -> None:
    (place / "sub").mkdir()
    (place / "sub" / "recipe.json").write_text("{}")


def linked(place: Path) -> None:
    (place / "kind.json").unlink()
    (place / "kind.json").symlink_to("/etc/hostname")


def no_manifest(place: Path) -> None:
    (place / files.MANIFEST).unlink()


def missing(place: Path) -> None:
    (place / "kind.json").unlink()


def not_named(place: Path) -> None:
    (place / hub.REFERENCE).write_bytes(b"")


def no_weights(place: Path) -> None:
    (place / "weights.safetensors").unlink()
    files.write_json(place / files.MANIFEST, {"files": _hashes(place)})


def outside(place: Path) -> None:
    names = {**_hashes(place), "../x": "0" * 64}
    files.write_json(place / files.MANIFEST, {"files": names})


def no_list(place: Path) -> None:
    files.write_json(place / files.MANIFEST, {"files": 5})


def _hashes(place: Path) -> dict[str, str]:
    return {name: h for name, h in files.hashes(place).items() if name != ".gitattributes"}


@pytest.mark.parametrize(
    "harm",
    [tampered, extra, pickled, within, linked, no_manifest, missing, not_named, no_weights, outside, no_list],
)
def test_what_is_not_as_its_manifest_says_is_refused_and_nothing_is_kept(harm, model, api, tmp_path) -> None:
    hub.push(model, "me/m", Sharing("mit"), api)
    harm(api.root / "me/m")
    place = tmp_path / "taken"
    with pytest.raises(FileError) as refused:
        hub.pull("me/m", place / "m", api=api)
    assert refused.value.code == "E303" and "me/m" in str(refused.value)
    assert not list(place.glob("*")) and not list(place.glob(".*"))


def test_what_is_not_listed_but_comes_is_refused_too(model, api, tmp_path) -> None:
    hub.push(model, "me/m", Sharing("mit"), api)
    honest = api.model_info("me/m", files_metadata=True)
    api.model_info = lambda *_, **__: honest
    extra(api.root / "me/m")
    with pytest.raises(FileError, match=r"code.py"):
        hub.pull("me/m", tmp_path / "m", api=api)
    assert not (tmp_path / "m").exists()


def test_nothing_is_overwritten(model, api, tmp_path) -> None:
    hub.push(model, "me/m", Sharing("mit"), api)
    (tmp_path / "m").mkdir()
    with pytest.raises(UsageError) as refused:
        hub.pull("me/m", tmp_path / "m", api=api)
    assert refused.value.code == "E107" and not list((tmp_path / "m").iterdir())
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError):
        hub.pull("me/m", tmp_path / "link", api=api)


@pytest.mark.parametrize(
    "name", ["m", "a/b/c", "../x", "a/..", "a/b c", "-a/b", "https://x/y", "a/" + "b" * 100, ""]
)
def test_names_that_are_none_are_refused(name, model, api, tmp_path) -> None:
    for act in (
        lambda: hub.push(model, name, Sharing("mit"), api),
        lambda: hub.pull(name, tmp_path / "o", api=api),
    ):
        with pytest.raises(UsageError, match="repository"):
            act()
    assert not api.root.exists()


def test_a_licence_must_be_said_and_a_damaged_model_stays_here(model, api, tmp_path) -> None:
    for sharing in (Sharing("unknown"), Sharing(""), Sharing("mit", "secret"), Sharing("mit", keep=("all",))):
        with pytest.raises(UsageError):
            hub.push(model, "me/m", sharing, api)
    broken = shutil.copytree(model, tmp_path / "run")
    tampered(broken / "model")
    with pytest.raises(FileError):
        hub.push(broken, "me/m", Sharing("mit"), api)
    shutil.copytree(model, tmp_path / "more")
    (tmp_path / "more" / "model" / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match="notes"):
        hub.push(tmp_path / "more", "me/m", Sharing("mit"), api)
    with pytest.raises(FileError):
        hub.push(tmp_path, "me/m", Sharing("mit"), api)
    assert not api.root.exists()


class _Answer(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("no")
        self.response = SimpleNamespace(status_code=status)


class RepositoryNotFoundError(OSError):
    """As huggingface_hub names it."""


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (ConnectionError("no route"), "E601", "cannot be reached"),
        (TimeoutError(), "E601", "cannot be reached"),
        (_Answer(401), "E602", "who you are"),
        (_Answer(404), "E602", "no such repository"),
        (_Answer(503), "E602", "503"),
        (RepositoryNotFoundError(), "E602", "no such repository"),
    ],
)
def test_what_the_hub_or_the_network_refuses_has_a_code(error, code, says, api, tmp_path) -> None:
    api.raises = error
    with pytest.raises(HubError, match=says) as refused:
        hub.pull("me/m", tmp_path / "m", api=api)
    assert refused.value.code == code and refused.value.exit_code == 9
    api.raises = KeyError("a bug stays a bug")
    with pytest.raises(KeyError):
        hub.pull("me/m", tmp_path / "m", api=api)


def test_the_commands_say_the_revision(model, api, tmp_path, monkeypatch, capsys) -> None:
    fake = SimpleNamespace(HfApi=lambda library_name: api, snapshot_download=api.snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)

    def typed(*words: str) -> int:
        with pytest.raises(SystemExit) as end:
            main(list(words))
        return end.value.code or 0

    assert typed("push", str(model), "me/m", "--license", "apache-2.0", "--private") == 0
    said = capsys.readouterr().err
    assert f"revision: {SHA}" in said and "left out" in said and api.private
    assert typed("pull", "me/m", "--out", str(tmp_path / "m"), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["revision"] == SHA and "recipe.json" in told["files"]
    assert typed("push", str(model), "me/m") == 2  # without a licence
    assert typed("pull", "me/m", "--out", str(tmp_path / "m")) == 2
    api.raises = ConnectionError()
    assert typed("pull", "me/m", "--out", str(tmp_path / "n")) == 9


def test_without_the_package_the_way_to_it_is_said(model, tmp_path, monkeypatch) -> None:
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("huggingface_hub"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ResourceError) as missing:
        hub.pull("me/m", tmp_path / "m")
    assert missing.value.code == "E404" and "vaekit[hub]" in missing.value.hint


def test_the_installed_package_takes_what_is_asked_of_it() -> None:
    real = pytest.importorskip("huggingface_hub")
    import inspect

    used = {
        real.HfApi.create_repo: {"private", "exist_ok"},
        real.HfApi.upload_folder: {"repo_id", "folder_path", "commit_message", "delete_patterns"},
        real.HfApi.model_info: {"revision", "files_metadata"},
        real.snapshot_download: {"revision", "local_dir", "allow_patterns"},
    }
    for function, words in used.items():
        assert words <= set(inspect.signature(function).parameters)
