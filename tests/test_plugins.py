"""Packages of third parties, as installed ones look: a module and its metadata on the path."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tomllib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, ConfigError, PluginWarning, UnknownNameError
from fastconv.testing import check_layer

PACKAGE = Path(__file__).parent / "plugin_package"
Install = Callable[..., None]

SOUND = """
    import fastconv

    @fastconv.register_layer("{name}")
    class Same(fastconv.Layer):
        def infer(self, *specs): return specs[0]
        def forward(self, ctx, *xs): return xs[0]
"""


def write_metadata(site: Path, distribution: str, entry_points: dict[str, str]) -> None:
    folder = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"{name} = {target}" for name, target in entry_points.items()]
    (folder / "entry_points.txt").write_text("\n".join(["[fastconv.layers]", *lines, ""]))


def install_package(site: Path) -> None:
    """Put the package of this folder where an installer would."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    write_metadata(site, project["name"], project["entry-points"]["fastconv.layers"])
    (site / "acme_layers").mkdir()
    for source in (PACKAGE / "acme_layers").glob("*.py"):
        (site / "acme_layers" / source.name).write_text(source.read_text())


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install made-up distributions, whose modules are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)

    def install(distribution: str, entry_points: dict[str, str], **modules: str) -> None:
        write_metadata(tmp_path, distribution, entry_points)
        for module, source in modules.items():
            (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))

    with registry.isolated():
        yield install
    for module in set(sys.modules) - known:
        path = getattr(sys.modules[module], "__file__", None)
        if path and path.startswith(str(tmp_path)):
            del sys.modules[module]


def test_a_package_adds_a_layer_that_a_model_uses_by_name(tmp_path):
    install_package(tmp_path)
    script = """
        import sys
        import numpy as np
        import fastconv

        assert "acme_layers" not in sys.modules
        assert "acme.Mish" in fastconv.list_layers("*mish")
        assert "acme_layers" not in sys.modules, "a list imports nothing"
        net = fastconv.Sequential(
            [("Conv2D", {"filters": 2, "kernel_size": 3}), ("acme.Mish", {"beta": 2.0}), "Flatten"],
            input_shape=(1, 5, 5), seed=0,
        )
        assert "acme_layers" in sys.modules
        net.plan(2, training=True)
        config = net.to_config()
        assert "acme.Mish.v1" in str(config)
        x = np.ones((2, 1, 5, 5), "float32")
        again = fastconv.from_config(config)
        again.set_weights(net.weights())
        assert (again(x) == net(x)).all()
    """
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr


def test_the_package_keeps_what_layers_promise(install, tmp_path):
    install_package(tmp_path)
    check_layer("acme.Mish", (2, 3, 4), beta=1.5)
    assert fastconv.create_layer("acme.Mish").costs(1, workspace_limit=0, training=True)
    with pytest.raises(ConfigError, match="betta is unknown, Mish .* did you mean 'beta'?"):
        fastconv.create_layer("acme.Mish", betta=1)


def test_import_loads_no_plugin(tmp_path):
    write_metadata(tmp_path, "acme-layers", {"acme.Mish.v1": "acme_layers:Mish"})
    (tmp_path / "acme_layers.py").write_text("raise SystemExit('imported')")
    subprocess.run(
        [sys.executable, "-c", "import fastconv; fastconv.create_layer('ReLU')"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        check=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "source",
    [
        "import a_module_that_is_not_there",
        "raise SystemExit(3)",
        "def broken(:",
        "1 / 0",
        "Same = 3",
        "class Same: pass",
        SOUND.format(name="fastconv.ReLU.v1"),
        None,
    ],
    ids=["import", "exit", "syntax", "zero", "number", "class", "built-in", "stale"],
)
def test_a_broken_plugin_is_named_once_and_breaks_nothing_else(install, source):
    modules = {} if source is None else {"broken_layers": source}
    install("broken-layers", {"acme.Same.v1": "broken_layers:Same"}, **modules)
    install(
        "good-layers",
        {"good.Same.v1": "good_layers:Same"},
        good_layers=SOUND.format(name="good.Same.v1"),
    )
    with pytest.warns(PluginWarning, match="'broken-layers'.*'acme.Same.v1'") as caught:
        for name in ("acme.Same", "acme.Same.v1", "acme.Same"):
            with pytest.raises(UnknownNameError, match="'broken-layers'"):
                registry.layers.get(name)
    assert len(caught) == 1
    assert registry.layers.get("good.Same").__module__ == "good_layers"
    assert registry.layers.get("ReLU") is fastconv.layers.ReLU
    assert "acme.Same" not in fastconv.list_layers()


@pytest.mark.parametrize("name", ["Conv2D", "fastconv.Conv2D.v1", "fastconv.Conv2D.v2"])
def test_a_built_in_name_stays_ours(install, name):
    install("greedy-layers", {name: "greedy_layers:Same"}, greedy_layers="raise SystemExit")
    with pytest.warns(PluginWarning, match="'greedy-layers'.*built-in") as caught:
        fastconv.list_layers()
        fastconv.list_layers()
    assert len(caught) == 1
    assert registry.layers.get("Conv2D") is fastconv.layers.Conv2D
    assert registry.layers.canonical("Conv2D") == "fastconv.Conv2D.v1"


def test_a_malformed_name_is_left_out_with_a_warning(install):
    install("odd-layers", {"Mish": "odd_layers:Same"})
    with pytest.warns(PluginWarning, match="'odd-layers'.*acme.Mish.v1"):
        assert "Mish" not in fastconv.list_layers()


def test_one_name_from_two_distributions_is_an_error_when_used(install):
    for number in ("one", "two"):
        install(
            f"acme-{number}",
            {"acme.Same.v1": f"acme_{number}:Same"},
            **{f"acme_{number}": SOUND.format(name="acme.Same.v1")},
        )
    assert "acme.Same" in fastconv.list_layers()
    with pytest.raises(ConfigError, match="'acme-one' and 'acme-two'"):
        registry.layers.get("acme.Same")


def test_the_newest_version_is_found_where_an_older_one_is_imported(install):
    install(
        "acme",
        {f"acme.Same.v{n}": f"acme_v{n}:Same" for n in (2, 10)},
        **{f"acme_v{n}": SOUND.format(name=f"acme.Same.v{n}") for n in (2, 10)},
    )
    assert registry.layers.get("acme.Same.v2").__module__ == "acme_v2"
    assert registry.layers.canonical("acme.Same") == "acme.Same.v10"


def test_a_package_imported_by_hand_does_not_clash_with_its_entry_point(install):
    install("acme", {"acme.Same.v1": "acme_same:Same"}, acme_same=SOUND.format(name="acme.Same.v1"))
    __import__("acme_same")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fastconv.list_layers("acme.*") == ["acme.Same"]
    assert registry.layers.get("acme.Same") is sys.modules["acme_same"].Same


def test_a_list_of_packages_that_breaks_off_is_a_warning(install, monkeypatch):
    def damaged() -> Iterator[None]:
        raise TypeError("no list")
        yield

    monkeypatch.setattr("importlib.metadata.distributions", damaged)
    with pytest.warns(PluginWarning, match="could not be listed, TypeError: no list"):
        assert "Conv2D" in fastconv.list_layers()


@pytest.mark.parametrize(
    "text",
    [b"[fastconv.layers]\nno equals sign\n", b"\xff\xfe not UTF-8 \x80"],
    ids=["pair", "bytes"],
)
def test_a_damaged_list_of_entry_points_hides_no_other(install, tmp_path, text):
    install("damaged-layers", {})
    install(
        "good-layers",
        {"good.Same.v1": "good_layers:Same"},
        good_layers=SOUND.format(name="good.Same.v1"),
    )
    (tmp_path / "damaged_layers-1.0.dist-info" / "entry_points.txt").write_bytes(text)
    with pytest.warns(
        PluginWarning,
        match="'damaged-layers' offers no layer that is known: its "
        "entry_points.txt could not be read",
    ) as caught:
        assert "good.Same" in fastconv.list_layers()
    assert len(caught) == 1
    assert registry.layers.get("good.Same").__module__ == "good_layers"


@pytest.mark.parametrize("damage", ["no METADATA", "no Name", "folded"])
def test_a_distribution_without_a_name_is_told_by_its_folder(install, tmp_path, damage):
    install("odd-layers", {"Mish": "odd_layers:Same"})
    metadata = tmp_path / "odd_layers-1.0.dist-info" / "METADATA"
    if damage == "no METADATA":
        metadata.unlink()
    else:
        name = "Name: odd\n layers\n" if damage == "folded" else ""
        metadata.write_text(f"Metadata-Version: 2.1\n{name}Version: 1.0\n")
    with pytest.warns(PluginWarning, match="odd.*layers.*acme.Mish.v1") as caught:
        fastconv.list_layers()
    assert "\n" not in str(caught[0].message)


def test_of_a_distribution_that_is_installed_twice_the_first_counts(install, tmp_path, monkeypatch):
    later = tmp_path / "later"
    write_metadata(later, "acme", {"acme.Same.v1": "acme_later:Same"})
    install("acme", {"acme.Same.v1": "acme_same:Same"}, acme_same=SOUND.format(name="acme.Same.v1"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(later)])
    assert registry.layers.get("acme.Same").__module__ == "acme_same"


RAISING = """
    class Mute(BaseException):
        def __str__(self): raise Mute
        __repr__ = __str__

    class Quiet(Exception):
        def __str__(self): raise SystemExit(3)
    {statement}
"""


@pytest.mark.parametrize(
    "statement",
    [
        "raise Mute",
        "raise Quiet",
        "raise GeneratorExit",
        "raise SystemExit",
        "raise BaseException",
        "raise ImportError('a' * 10**7)",
        "raise ImportError('a\\n' * 100)",
        "raise Exception(Mute())",
        "class Same(metaclass=type('M', (type,), dict(__subclasscheck__=lambda *_: 1 / 0))): pass",
        "Same = type('Odd', (), dict(__class__=property(lambda self: 1 / 0)))()",
    ],
)
def test_whatever_a_plugin_raises_is_one_short_line(install, statement):
    install(
        "broken-layers",
        {"acme.Same.v1": "broken_layers:Same"},
        broken_layers=textwrap.dedent(RAISING).format(statement=statement),
    )
    with pytest.warns(PluginWarning, match="'broken-layers'.*'acme.Same.v1'") as caught:
        with pytest.raises(UnknownNameError, match="'broken-layers', which offers") as raised:
            registry.layers.get("acme.Same")
    for text in (str(raised.value), str(caught[0].message)):
        assert "\n" not in text and len(text) < 1000
    assert raised.value.parameter.startswith("distribution 'broken-layers', which offers")
    assert registry.layers.get("ReLU") is fastconv.layers.ReLU


def test_ctrl_c_stops_the_import_of_a_plugin_and_leaves_it_untried(install, tmp_path):
    install(
        "slow-layers", {"acme.Same.v1": "slow_layers:Same"}, slow_layers="raise KeyboardInterrupt"
    )
    with pytest.raises(KeyboardInterrupt):
        registry.layers.get("acme.Same")
    (tmp_path / "slow_layers.py").write_text(textwrap.dedent(SOUND.format(name="acme.Same.v1")))
    for cached in tmp_path.glob("__pycache__/*"):
        cached.unlink()
    assert registry.layers.get("acme.Same").__module__ == "slow_layers"


def test_no_lock_is_held_while_a_plugin_is_imported_or_a_warning_shown(install, monkeypatch):
    """A thread that the plugin waits for may use the registry, and so may what shows warnings."""
    waiting = (
        SOUND.format(name="acme.Same.v1")
        + """
    import threading
    found = []
    thread = threading.Thread(target=lambda: found.append(fastconv.list_layers("acme.*")))
    thread.start()
    thread.join(30)
    assert found
    """
    )
    install("waiting-layers", {"acme.Same.v1": "waiting_layers:Same"}, waiting_layers=waiting)
    install("odd-layers", {"Mish": "odd_layers:Same"})
    shown = []

    def show(message: object, *_: object, **__: object) -> None:
        shown.append((message, fastconv.list_layers("acme.*")))

    monkeypatch.setattr(warnings, "showwarning", show)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert registry.layers.get("acme.Same").__module__ == "waiting_layers"
    assert len(shown) == 1 and shown[0][1] == ["acme.Same"]


def test_a_plugin_that_fails_in_use_is_its_own_error(install, tmp_path):
    install_package(tmp_path)
    layer = fastconv.create_layer("acme.Mish")
    y = layer.forward(fastconv.layers.Context(), np.zeros((1, 2), "float32"))
    assert not y.any()
    with pytest.raises((ValueError, ArgumentError), match="Mish: beta must be above 0, got 0"):
        fastconv.create_layer("acme.Mish", beta=0)


def test_a_name_that_one_distribution_offers_twice_is_its_own_to_mend(install, tmp_path):
    install("twice", {"twice.Same.v1": "twice:Same"}, twice=SOUND.format(name="twice.Same.v1"))
    with open(next(tmp_path.glob("twice-*")) / "entry_points.txt", "a") as file:
        file.write("twice.Same.v1 = twice:Other\n")
    match = r"must be offered once, got 2 offers of 'twice'; its entry_points.txt is to be mended"
    with pytest.raises(ConfigError, match=match):
        fastconv.create_layer("twice.Same")
