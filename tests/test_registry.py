"""Names, versions, hints and settings."""

from __future__ import annotations

import threading

import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError, UnknownNameError
from fastconv.layers import Conv2D, Layer
from fastconv.registry.spellings import absent, name_offers


@pytest.fixture(autouse=True)
def forget():
    with registry.isolated():
        yield


def layer_of(module: str, qualname: str = "Mish") -> type[Layer]:
    return type(qualname, (Layer,), {"__module__": module, "__qualname__": qualname})


@pytest.mark.parametrize("name", ["Conv2D", "fastconv.Conv2D", "fastconv.Conv2D.v1"])
def test_a_layer_has_three_names(name):
    assert registry.layers.get(name) is Conv2D
    assert registry.layers.canonical(name) == "fastconv.Conv2D.v1"
    assert name in registry.layers


def test_the_short_name_is_the_newest_version_by_number():
    made = {n: layer_of("acme.layers", f"Mish{n}") for n in (9, 10, 2)}
    for number, cls in made.items():
        fastconv.register_layer(f"acme.Mish.v{number}")(cls)
    assert registry.layers.get("acme.Mish") is made[10]
    assert registry.layers.get("acme.Mish.v9") is made[9]
    assert fastconv.list_layers("acme*") == ["acme.Mish"]


@pytest.mark.parametrize(
    "name",
    [
        "Mish",
        "acme.Mish",
        "acme.Mish.1",
        "acme.Mish.v0",
        "acme.Mish.v01",
        "acme.a.Mish.v1",
        "Acme.Mish.v1",
        "acme.Mish.v1 ",
        "acme.Mi-sh.v1",
        ".Mish.v1",
        "",
        "acme..v1",
        3,
        None,
        ["a"],
    ],
)
def test_malformed_names_are_refused(name):
    with pytest.raises(ArgumentError, match=r"register_layer: name must have the form 'acme.Mish"):
        registry.layers.register(name, layer_of("acme.layers"))


def test_our_namespace_is_ours():
    with pytest.raises(ArgumentError, match="namespace of your own.*'acme.Mish.v1'"):
        fastconv.register_layer("fastconv.Mish.v1")(layer_of("acme.layers"))
    with pytest.raises(ArgumentError, match="register_loss: name must be in a namespace"):
        registry.losses.register("focal", lambda: None)
    registry.losses.register("acme.focal", lambda: 3)
    assert registry.losses.get("acme.focal")() == 3


def test_a_taken_name_is_an_error_unless_overridden():
    first, second = layer_of("acme.one"), layer_of("acme.two")
    fastconv.register_layer("acme.Mish.v1")(first)
    with pytest.raises(ArgumentError, match=r"'acme.Mish.v1', which is acme.one.Mish.*override"):
        fastconv.register_layer("acme.Mish.v1")(second)
    assert registry.layers.get("acme.Mish") is first
    fastconv.register_layer("acme.Mish.v1", override=True)(second)
    assert registry.layers.get("acme.Mish") is second


def test_a_cell_of_a_notebook_can_run_twice():
    before = layer_of("__main__")
    fastconv.register_layer("acme.Mish.v1")(before)
    after = layer_of("__main__")
    fastconv.register_layer("acme.Mish.v1")(after)
    assert registry.layers.get("acme.Mish") is after
    assert before().registered_name == "acme.Mish.v1"


def test_two_lambdas_are_not_the_same_thing():
    registry.metrics.register("acme.one", lambda: 1)
    with pytest.raises(ArgumentError, match="must be new"):
        registry.metrics.register("acme.one", lambda: 2)


@pytest.mark.parametrize("thing", [3, int, Layer(), lambda: None])
def test_only_layers_are_layers(thing):
    with pytest.raises(ArgumentTypeError, match="must be a class derived from Layer"):
        registry.layers.register("acme.Mish.v1", thing)


def test_isolated_forgets_in_every_registry():
    with registry.isolated():
        fastconv.register_layer("acme.Mish.v1")(layer_of("acme.layers"))
        registry.metrics.register("acme.zero", lambda: 0)
        assert "acme.Mish" in registry.layers and "acme.zero" in registry.metrics
    assert "acme.Mish" not in registry.layers and "acme.zero" not in registry.metrics
    assert "Conv2D" in registry.layers


def test_lists_are_sorted_and_matched_without_case():
    names = fastconv.list_layers()
    assert names == sorted(names) and list(registry.layers) == names
    assert fastconv.list_layers("CONV*") == fastconv.list_layers("conv*")
    assert fastconv.list_layers("Conv2d*") == ["Conv2D", "Conv2DTranspose"]
    assert fastconv.list_layers("*pool2d") == [
        "AvgPool2D",
        "GlobalAvgPool2D",
        "GlobalMaxPool2D",
        "MaxPool2D",
    ]
    assert fastconv.list_layers("nothing*") == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("conv2d", "Conv2D"),
        ("Conv2d", "Conv2D"),
        ("nn.Conv2d", "Conv2D"),
        ("torch.nn.Conv2d", "Conv2D"),
        ("keras.layers.Conv2D", "Conv2D"),
        ("Convolution", "Conv2D"),
        ("Convolution2D", "Conv2D"),
        ("fastconv.Conv2d.v1", "Conv2D"),
        ("Affine", "Dense"),
        ("nn.Linear", "Dense"),
        ("dense", "Dense"),
        ("Relu", "ReLU"),
        ("Pooling", "MaxPool2D"),
        ("MaxPooling2D", "MaxPool2D"),
        ("nn.MaxPool2d", "MaxPool2D"),
        ("AveragePooling2D", "AvgPool2D"),
        ("AveragePooling1D", "AvgPool1D"),
        ("MaxPooling1D", "MaxPool1D"),
        ("nn.MaxPool1d", "MaxPool1D"),
        ("nn.AvgPool1d", "AvgPool1D"),
        ("nn.Conv1d", "Conv1D"),
        ("Convolution1D", "Conv1D"),
        ("nn.ConvTranspose2d", "Conv2DTranspose"),
        ("ConvTranspose", "Conv2DTranspose"),
        ("Deconvolution2D", "Conv2DTranspose"),
        ("Deconv2d", "Conv2DTranspose"),
        ("Convolution2DTranspose", "Conv2DTranspose"),
        ("DepthwiseConvolution2D", "DepthwiseConv2D"),
        ("depthwise_conv2d", "DepthwiseConv2D"),
        ("SeparableConv2D", "DepthwiseConv2D"),
        ("nn.Upsample", "UpSampling2D"),
        ("nn.UpsamplingBilinear2d", "UpSampling2D"),
        ("Resize", "UpSampling2D"),
        ("F.interpolate", "UpSampling2D"),
        ("Unpooling2D", "UpSampling2D"),
        ("nn.ZeroPad2d", "ZeroPadding2D"),
        ("Pad", "ZeroPadding2D"),
        ("GlobalMaxPooling2D", "GlobalMaxPool2D"),
        ("nn.AdaptiveMaxPool2d", "GlobalMaxPool2D"),
        ("im2col", "Unfold"),
        ("col2im", "Fold"),
        ("nn.Unflatten", "Reshape"),
        ("view", "Reshape"),
        ("GlobalAveragePooling2D", "GlobalAvgPool2D"),
        ("BatchNormalization", "BatchNorm"),
        ("nn.BatchNorm2d", "BatchNorm"),
        ("nn.GroupNorm", "GroupNorm"),
        ("GroupNormalization", "GroupNorm"),
        ("nn.InstanceNorm2d", "GroupNorm"),
        ("nn.LayerNorm", "LayerNorm"),
        ("LayerNormalization", "LayerNorm"),
        ("nn.LocalResponseNorm", "LocalResponseNorm"),
        ("LRN", "LocalResponseNorm"),
        ("LocalResponseNormalization", "LocalResponseNorm"),
        ("flaten", "Flatten"),
        ("SoftmaxWithLoss", "Softmax"),
        ("Concat", "Concatenate"),
        ("droput", "Dropout"),
    ],
)
def test_other_spellings_get_a_hint(name, meant):
    with pytest.raises(UnknownNameError, match=f"did you mean '{meant}'"):
        registry.layers.get(name)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "a.b:C",
        "__class__",
        "",
        "Conv2D\0",
        "fastconv.",
        ".",
        "v1",
        "x" * 10**6,
        ["Conv2D"],
        None,
        3,
        True,
        {"Conv2D": 1},
        ("Conv2D",),
        b"Conv2D",
        object,
    ],
    ids=lambda name: repr(name)[:20],
)
def test_what_is_no_name_is_an_error_that_stays_short(name):
    with pytest.raises(UnknownNameError, match="layer must be a registered name, got") as caught:
        registry.layers.get(name)
    assert len(str(caught.value)) < 200
    assert isinstance(caught.value, ConfigError) and caught.value.problems
    assert name not in registry.layers


@pytest.mark.parametrize(
    ("where", "name", "meant"),
    [
        ("initializers", "he_normal", "he"),
        ("initializers", "glorot_uniform", "xavier"),
        ("initializers", "Gaussian", "gaussian"),
        ("initializers", "zero", "zeros"),
    ],
)
def test_lower_snake_names_get_hints_too(where, name, meant):
    with pytest.raises(UnknownNameError, match=f"did you mean '{meant}'"):
        getattr(registry, where).get(name)


def test_an_empty_registry_says_so():
    with pytest.raises(UnknownNameError, match="thing must .*'a'; none is registered"):
        registry.Registry("thing").get("a")


def sample(size: int, *, stride: int = 1, padding: int = 0) -> int:
    return size


@pytest.mark.parametrize(
    ("config", "problems"),
    [
        ({"size": 1, "stride": 2}, []),
        (
            {"size": 1, "strides": 2},
            ["p.strides: unknown, sample has no such setting; did you mean 'stride'?"],
        ),
        (
            {"size": 1, "pad": 2},
            ["p.pad: unknown, sample has no such setting; did you mean 'padding'?"],
        ),
        (
            {"size": 1, "in_channels": 2},
            [
                "p.in_channels: unknown, sample has no such setting; it follows from the input, "
                "leave it out"
            ],
        ),
        (
            {"zzz": 2, 3: 4},
            [
                "p.zzz: unknown, sample has no such setting; it has size, stride, padding",
                "p.3: unknown, sample has no such setting; it has size, stride, padding",
                "p.size: missing, sample needs size",
            ],
        ),
        ([], ["p: must be an object of settings, got []"]),
        (None, ["p: must be an object of settings, got None"]),
    ],
    ids=repr,
)
def test_settings_are_checked_all_at_once(config, problems):
    assert registry.check_config(sample, config, "p") == problems


def test_settings_that_are_not_named_are_let_through_where_all_are():
    assert registry.check_config(lambda **anything: None, {"a": 1}, "p") == []


@pytest.mark.parametrize(
    ("layer", "key", "meant"),
    [
        ("Embedding", "num_embeddings", "did you mean 'entries'"),
        ("Embedding", "input_dim", "did you mean 'entries'"),
        ("Embedding", "embedding_dim", "did you mean 'units'"),
        ("Embedding", "output_dim", "did you mean 'units'"),
        ("GroupNorm", "num_groups", "did you mean 'groups'"),
        ("GroupNorm", "num_channels", "it follows from the input"),
        ("GroupNorm", "eps", "did you mean 'epsilon'"),
        ("LayerNorm", "normalized_shape", "did you mean 'axes'"),
        ("LayerNorm", "axis", "did you mean 'axes'"),
        ("LocalResponseNorm", "local_size", "did you mean 'size'"),
        ("LocalResponseNorm", "bias", "did you mean 'k'"),
        ("Softmax", "dim", "did you mean 'axis'"),
        ("Dense", "input_dim", "it follows from the input"),
    ],
)
def test_other_spellings_of_settings_get_a_hint(layer, key, meant):
    with pytest.raises(ConfigError, match=f"{key} is unknown.*{meant}"):
        fastconv.create_layer(layer, **{key: 1})


def test_create_reports_every_setting():
    with pytest.raises(ConfigError) as caught:
        fastconv.create_layer("Conv2D", out_channels=3, kernel_size=3, strides=1)
    assert caught.value.problems == [
        "Conv2D: out_channels is unknown, Conv2D has no such setting; did you mean 'filters'?",
        "Conv2D: strides is unknown, Conv2D has no such setting; did you mean 'stride'?",
        "Conv2D: filters is missing, Conv2D needs filters and kernel_size",
    ]
    with pytest.raises(UnknownNameError, match="^create_layer: layer must be .*'Dense'"):
        fastconv.create_layer("Denze")


@pytest.mark.parametrize(
    ("spec", "error", "text"),
    [
        ("hee", ConfigError, "op: initializer must be a registered name, got 'hee'"),
        (("gaussian", {"sd": 1}), ConfigError, "op: sd is unknown, Gaussian .*'std'"),
        (("gaussian", {"std": "1"}), ArgumentTypeError, "gaussian: std must be a number"),
        (("gaussian", {"std": float("nan")}), ArgumentError, "gaussian: std must be finite"),
        (("gaussian", {"std": -1}), ArgumentError, "gaussian: std must be at least 0, got -1"),
        (("gaussian",), ConfigError, r"op: .*a name, \(name, \{...\}\) or an instance"),
        (("gaussian", 3), ConfigError, "or an instance, got"),
        ((), ConfigError, r"or an instance, got \(\)"),
        (None, ArgumentTypeError, "or an instance, got None"),
        (3, ArgumentTypeError, "or an instance, got 3"),
        ({"gaussian": {}}, ArgumentTypeError, "or an instance, got"),
        (fastconv.initializers.He, ArgumentTypeError, r"got the class He; call it: He\(...\)"),
    ],
    ids=repr,
)
def test_resolve_refuses(spec, error, text):
    with pytest.raises(error, match=text):
        registry.resolve(registry.initializers, spec, "op")


def test_resolve_takes_a_name_a_pair_or_an_instance():
    gaussian = fastconv.initializers.Gaussian(0.5)
    for spec in (gaussian, ("gaussian", {"std": 0.5}), ["gaussian", {"std": 0.5}]):
        assert registry.resolve(registry.initializers, spec, "op") == gaussian
    assert registry.resolve(registry.initializers, "he", "op") == fastconv.initializers.He()


def test_threads_may_register_and_look_up_at_once():
    def work(number: int) -> None:
        for version in range(1, 20):
            cls = layer_of("acme.layers", f"L{number}V{version}")
            fastconv.register_layer(f"acme.L{number}.v{version}")(cls)
            assert registry.layers.get(f"acme.L{number}") is cls
            assert "Conv2D" in fastconv.list_layers()

    failures: list[BaseException] = []
    threads = [threading.Thread(target=_collect, args=(work, n, failures)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(fastconv.list_layers("acme.l*")) == 8


def _collect(work, number, failures):
    try:
        work(number)
    except BaseException as error:
        failures.append(error)


@pytest.mark.parametrize(
    ("where", "name", "said"),
    [
        ("layers", "CELU", "fastconv has none; write your own"),
        ("layers", "nn.SELU", "fastconv has none; write your own"),
        ("layers", "fastconv.Conv2D.v2", "there is only 'fastconv.Conv2D.v1'; a newer fastconv"),
        ("layers", "other.Swish.v1", r"got 'other.Swish.v1'; import the module that registers it"),
        ("layers", "other.Conv2D.v1", "install its package .*'fastconv.layers'"),
        ("models", "other.Net.v1", "install its package .*'fastconv.models'"),
        ("losses", "categorical_crossentropy", "'softmax_cross_entropy' or 'cross_entropy'"),
        ("losses", "sparse_categorical_crossentropy", "mean 'softmax_cross_entropy' or"),
    ],
)
def test_what_is_not_here_is_not_taken_for_what_looks_alike(where, name, said):
    with pytest.raises(UnknownNameError, match=said) as caught:
        getattr(registry, where).get(name)
    assert "mean 'ReLU'" not in str(caught.value)


def test_other_versions_and_names_of_a_foreign_namespace_are_offered():
    with registry.isolated():
        registry.metrics.register("acme.zero", lambda: 0)
        fastconv.register_layer("acme.Mish.v1")(type("Mish", (fastconv.Layer,), {}))
        with pytest.raises(UnknownNameError, match="there is only 'acme.Mish.v1'"):
            registry.layers.get("acme.Mish.v2")
        with pytest.raises(UnknownNameError, match="did you mean 'acme.Mish'. Else import the"):
            registry.layers.get("acme.Mihs.v1")


def test_a_bare_name_of_a_layer_is_told_the_full_one():
    with pytest.raises(ArgumentError, match="got 'Swish'; write 'your_package.Swish.v1'"):
        fastconv.register_layer("Swish")(type("Swish", (fastconv.Layer,), {}))


@pytest.mark.parametrize("pattern", [3, None, b"conv*"])
def test_a_pattern_is_a_text(pattern):
    with pytest.raises(ArgumentTypeError, match="list_layers: pattern must be a text, got"):
        fastconv.list_layers(pattern)


def test_what_others_register_is_no_longer_absent():
    """A layer that fastconv lacks goes by the names of other libraries once there is one."""
    names = ["acme.SELU.v1", "fastconv.ReLU.v1"]
    assert absent("layer", "nn.SELU", names[1:])
    assert not absent("layer", "selu", names)
    assert name_offers("layer", "nn.selu", ["SELU", "ReLU"]) == ["SELU"]
