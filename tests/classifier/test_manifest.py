"""A model that is not exactly what was made is refused, in one sentence, before anything of it is parsed."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from filterd.classifier import Manifest, ModelError, load_model
from filterd.classifier.features import PORTABLE_SIZE, VERSION
from filterd.classifier.manifest import MANIFEST, identify, read_folder, write_folder

CURVE = np.array([[-1, 1], [-2, 2]], dtype=np.float32)


def arrays(**changes: np.ndarray) -> dict[str, np.ndarray]:
    return {"weights": np.zeros(PORTABLE_SIZE, dtype=np.float16), "calibration": CURVE, **changes}


def make(folder: Path, features: int = VERSION, kind: str = "base", **changes: np.ndarray) -> Path:
    write_folder(folder / "model", Manifest(kind=kind, features=features), arrays(**changes), "# A model\n")
    return folder / "model"


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    made = write_folder(tmp_path / "m", Manifest(kind="base", features=VERSION, ham=3), arrays(), "# card\n")
    manifest, found = read_folder(tmp_path / "m")
    assert manifest == made
    assert (found["calibration"] == CURVE).all()
    assert load_model(tmp_path / "m").id == made.id == identify(made)


def test_the_same_content_has_the_same_id(tmp_path: Path) -> None:
    assert load_model(make(tmp_path / "a")).id == load_model(make(tmp_path / "b")).id


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    make(tmp_path)
    make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


class Payload:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("exit 1",)


def truncate(folder: Path) -> None:
    path = folder / "weights.npy"
    path.write_bytes(path.read_bytes()[:-1])


def change_a_bit(folder: Path) -> None:
    data = bytearray((folder / "weights.npy").read_bytes())
    data[-1] ^= 1
    (folder / "weights.npy").write_bytes(data)


def grow(folder: Path) -> None:
    with open(folder / "weights.npy", "ab") as file:
        file.write(b"x")


def put_a_pickle(folder: Path) -> None:
    (folder / "weights.npy").write_bytes(pickle.dumps(Payload()))


def change_the_manifest(folder: Path) -> None:
    listing = json.loads((folder / MANIFEST).read_text())
    listing["ham"] = 1_000_000
    (folder / MANIFEST).write_text(json.dumps(listing))


def break_the_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"kind": [')


def open_to_everyone(folder: Path) -> None:
    (folder / "weights.npy").chmod(0o666)


def open_folder_to_everyone(folder: Path) -> None:
    folder.chmod(0o777)


def link_elsewhere(folder: Path) -> None:
    (folder / "weights.npy").rename(folder.parent / "elsewhere.npy")
    (folder / "weights.npy").symlink_to(folder.parent / "elsewhere.npy")


def lose_a_file(folder: Path) -> None:
    (folder / "calibration.npy").unlink()


def lose_the_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (truncate, "truncated"),
        (change_a_bit, "SHA-256"),
        (grow, "larger"),
        (put_a_pickle, "truncated|SHA-256"),
        (change_the_manifest, "changed"),
        (break_the_manifest, "not a manifest"),
        (open_to_everyone, "writable by everyone"),
        (open_folder_to_everyone, "writable by everyone"),
        (link_elsewhere, "not a regular file"),
        (lose_a_file, "No such file"),
        (lose_the_manifest, "No such file"),
    ],
)
def test_damaged(tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    folder = make(tmp_path)
    damage(folder)
    with pytest.raises(ModelError, match=says) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def npy_with_pickle() -> bytes:
    target = io.BytesIO()
    np.save(target, np.array([Payload()], dtype=object), allow_pickle=True)
    return target.getvalue()


def test_a_pickle_with_the_right_hash_is_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filterd.classifier.manifest._npy", lambda array: npy_with_pickle())
    with pytest.raises(ModelError, match="not a plain array"):
        load_model(make(tmp_path))


@pytest.mark.parametrize("name", ["../weights.npy", "/etc/passwd", "..", "a/b.npy"])
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path)
    listing = json.loads((folder / MANIFEST).read_text())
    listing["files"][name] = listing["files"].pop("weights.npy")
    forged = msgspec.convert({**listing, "id": ""}, Manifest)
    (folder / MANIFEST).write_text(json.dumps({**msgspec.to_builtins(forged), "id": identify(forged)}))
    with pytest.raises(ModelError, match="not a file beside it"):
        load_model(folder)


def test_another_feature_version(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="feature version 999"):
        load_model(make(tmp_path, features=999))


def test_another_kind(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a site model"):
        load_model(make(tmp_path, kind="site"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"weights": np.zeros(7, dtype=np.float16)}, "holds"),
        ({"weights": np.zeros(PORTABLE_SIZE, dtype=np.float64)}, "holds"),
        ({"weights": np.full(PORTABLE_SIZE, np.nan, dtype=np.float16)}, "no training makes"),
        ({"calibration": np.array([[1, 0], [0, 1]], dtype=np.float32)}, "does not rise"),
        ({"calibration": np.zeros((2, 0), dtype=np.float32)}, "does not rise"),
        ({"calibration": np.array([[0, 1], [0, np.inf]], dtype=np.float32)}, "no training makes"),
    ],
)
def test_arrays_that_make_no_sense(tmp_path: Path, changes: dict[str, np.ndarray], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        load_model(make(tmp_path, **changes))
