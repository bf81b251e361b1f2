"""Images, tables and histograms: from what people have, through the journal, to what `Api` reads."""

from __future__ import annotations

import base64
import io
import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from monitor import Api, limits
from monitor.api import create_api
from monitor.errors import MediaNotFound
from monitor.ingest.engines import Engines
from monitor.limits import MAX_MEDIA, valid
from monitor.run import media
from monitor.run.disabled import DisabledRun
from monitor.run.start import init
from monitor.settings import Settings
from monitor.store import Store
from tests.api.conftest import served

RNG = np.random.default_rng(1)
PIXELS = RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8)


def opened(value, told=None):
    mime, content = media.image(value, lambda *note: (told if told is not None else []).append(note))
    found = Image.open(io.BytesIO(base64.b64decode(content)))
    found.load()
    assert mime == f"image/{found.format.lower()}"
    return found


def torch_of(array):
    torch = pytest.importorskip("torch")
    return torch.from_numpy(array.copy())


IMAGES = {
    "bytes (h, w, c)": lambda: PIXELS,
    "bytes (c, h, w)": lambda: PIXELS.transpose(2, 0, 1),
    "a batch of one": lambda: PIXELS[None],
    "floats of 0 to 1": lambda: PIXELS / 255,
    "half floats": lambda: (PIXELS / 255).astype(np.float32),
    "wide integers": lambda: PIXELS.astype(np.int64),
    "Pillow": lambda: Image.fromarray(PIXELS),
    "Pillow with a palette": lambda: Image.fromarray(PIXELS).quantize(256),
    "torch": lambda: torch_of(PIXELS),
    "torch (c, h, w), a parameter": lambda: torch_of(PIXELS).permute(2, 0, 1).div(255).requires_grad_(True),
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_kept_pixel_by_pixel(name):
    told = []
    found = np.asarray(opened(IMAGES[name](), told).convert("RGB")).astype(int)
    assert np.abs(found - PIXELS).max() <= (8 if "palette" in name else 0)
    assert not told


def test_a_grey_image_and_a_mask_are_kept():
    grey = PIXELS[..., 0]
    assert np.array_equal(np.asarray(opened(grey)), grey)
    assert np.array_equal(np.asarray(opened(grey > 100)), (grey > 100) * 255)
    assert opened(np.dstack([PIXELS, grey])).mode == "RGBA"


def test_a_huge_image_of_pillow_is_reduced_and_stays_as_it_was():
    given_ = Image.new("RGB", (5000, 10), "red")
    told = []
    assert opened(given_, told).size == (1667, 4)
    assert given_.size == (5000, 10)
    assert [name for name, *_ in told] == ["media"]


def test_a_file_and_its_bytes_are_images(tmp_path):
    file = tmp_path / "a.jpg"
    Image.fromarray(PIXELS).save(file)
    assert opened(file).size == opened(str(file)).size == opened(file.read_bytes()).size == (5, 6)


def test_a_figure_is_an_image():
    plt = pytest.importorskip("matplotlib.figure")
    figure = plt.Figure(figsize=(2, 1), dpi=50)
    figure.subplots().plot([1, 2, 3])
    assert opened(figure).width > 50


def test_a_tensor_has_its_channels_first_where_both_could_be():
    torch = pytest.importorskip("torch")
    assert opened(np.zeros((3, 9, 4))).size == (9, 3)
    assert opened(torch.zeros(3, 9, 4)).size == (4, 9)
    assert opened(torch.zeros(3, 9)).size == (9, 3)


def test_bfloat16_leaves_its_graph():
    torch = pytest.importorskip("torch")
    assert opened(torch.rand(3, 4, 4, dtype=torch.bfloat16)).size == (4, 4)
    made = media.histogram(torch.randn(9, dtype=torch.bfloat16, requires_grad=True), 4, limits.silent)
    assert sum(json.loads(base64.b64decode(made[1]))["counts"]) == 9


def test_values_beyond_the_range_are_stretched_and_it_is_said():
    told = []
    found = np.asarray(opened(np.array([[-1.0, 0.0], [1.0, np.nan]]), told))
    assert found.tolist() == [[0, 128], [255, 0]]
    assert [name for name, *_ in told] == ["media"]


def test_a_large_image_is_made_smaller_until_it_fits():
    told = []
    noise = RNG.integers(0, 256, (3000, 1500, 3), dtype=np.uint8)
    mime, content = media.image(noise, lambda *note: told.append(note))
    assert len(base64.b64decode(content)) <= MAX_MEDIA
    assert told
    assert valid("media", {"key": "k", "kind": "image", "step": 1, "mime": mime, "content": content}, limits.silent)


@pytest.mark.parametrize(
    "value", [np.zeros((2, 3, 4, 5)), np.zeros((7, 7, 7)), np.zeros(3), np.zeros((0, 4)), "nosuch"]
)
def test_what_is_not_an_image_is_refused(value):
    with pytest.raises((ValueError, OSError)):
        media.image(value, limits.silent)


def table(value, columns=None, told=None):
    note = (lambda *given: told.append(given)) if told is not None else limits.silent
    return json.loads(base64.b64decode(media.table(value, columns, note)[1]))


ROWS = [[1, "a"], [2.5, None]]
TABLES = {
    "rows": lambda: table(ROWS, ["x", "y"]),
    "mappings": lambda: table([{"x": 1, "y": "a"}, {"x": 2.5}]),
    "columns": lambda: table({"x": [1, 2.5], "y": ["a", None]}),
    "numpy scalars": lambda: table([{"x": np.int64(1), "y": np.str_("a")}, {"x": np.float32(2.5), "y": None}]),
    "pandas": lambda: table(pytest.importorskip("pandas").DataFrame({"x": [1, 2.5], "y": ["a", None]}, dtype=object)),
    "arrow": lambda: table(pytest.importorskip("pyarrow").table({"x": [1, 2.5], "y": ["a", None]})),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_kept_cell_by_cell(name):
    assert TABLES[name]() == {"columns": ["x", "y"], "rows": ROWS}


def test_a_table_of_numbers_numbers_its_columns_and_words_what_is_not_finite():
    assert table(np.array([[1.0, np.nan], [np.inf, 2]])) == {
        "columns": ["0", "1"], "rows": [[1.0, "nan"], ["inf", 2.0]]
    }  # fmt: skip


def test_a_long_and_wide_table_is_cut_and_it_is_said():
    told = []
    found = table(np.zeros((5000, 300)), told=told)
    assert (len(found["columns"]), len(found["rows"])) == (100, 1000)
    assert len(told) == 2
    assert table({"x": ["y" * 10_000] * 900}, told=told)["rows"]


@pytest.mark.parametrize("value", ["text", 3, None, {"x": [1], "y": [1, 2]}, [[1, 2], [3]]])
def test_what_is_not_a_table_is_refused(value):
    with pytest.raises(ValueError):  # noqa: PT011  # each says something else
        table(value)


def test_a_histogram_counts_everything_once():
    told = []
    values = np.r_[RNG.normal(size=1000), np.nan, np.inf]
    found = json.loads(base64.b64decode(media.histogram(values, 10, lambda *note: told.append(note))[1]))
    assert sum(found["counts"]) == found["n"] == 1000
    assert (len(found["edges"]), found["not_finite"], told[0][3]) == (11, 2, 2)
    ready = json.loads(base64.b64decode(media.histogram(np.histogram([1, 2, 3], 2), 99, limits.silent)[1]))
    assert ready == {"edges": [1.0, 2.0, 3.0], "counts": [1.0, 2.0], "n": 3.0}


@pytest.mark.parametrize("value", [[], [np.nan], ["a"], {"a": 1}])
def test_what_has_no_distribution_is_refused(value):
    with pytest.raises((ValueError, TypeError)):
        media.histogram(value, 8, limits.silent)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANY = SCALARS | st.lists(SCALARS | st.lists(SCALARS, max_size=3), max_size=3)


@given(
    st.sampled_from(["image", "table", "histogram", "else"]),
    st.sampled_from(["image/png", "image/svg+xml", "application/json", None]),
    st.one_of(
        ANY,
        st.binary(max_size=40).map(lambda b: base64.b64encode(b).decode()),
        st.dictionaries(st.sampled_from(["columns", "rows", "edges", "counts"]), ANY).map(
            lambda d: base64.b64encode(json.dumps(d).encode()).decode()
        ),
    ),
)
def test_nothing_but_what_can_be_shown_is_kept_and_it_stays_as_it_is(kind, mime, content):
    given_ = {"key": "k", "kind": kind, "step": 1, "mime": mime, "content": content}
    found = valid("media", given_, limits.silent)
    if found is not None:
        assert valid("media", found, limits.silent) == found
        assert mime != "image/svg+xml"


@pytest.fixture
def settings(tmp_path):
    return Settings(dir=tmp_path, capture=(), shipper="thread")


def test_a_run_keeps_them_and_the_api_reads_them(settings):
    with init("p", "kept", settings=settings) as run:
        run.log({"loss": 1.0}, step=4)
        run.log_image("sample", PIXELS, caption="a <b>")
        run.log_image("sample", PIXELS[::-1], step=9)
        run.log_table("rows", ROWS, columns=["x", "y"])
        run.log_histogram("weights", PIXELS, bins=3)
        run.log_image("broken", object())
        run.log({"loss": 0.5}, step=10)
    with Api(settings=settings) as api:
        view = api.run("kept")
        found = view.media()
        assert [(m.key, m.kind, m.step, m.caption) for m in found] == [
            ("rows", "table", 4, ""), ("sample", "image", 4, "a <b>"), ("sample", "image", 9, ""),
            ("weights", "histogram", 4, ""),
        ]  # fmt: skip
        image = Image.open(io.BytesIO(view.media_content(found[2])))
        assert np.array_equal(np.asarray(image), PIXELS[::-1])
        assert json.loads(view.media_content(found[0])) == {"columns": ["x", "y"], "rows": ROWS}
        assert [m.id for m in view.media("weights")] == [found[3].id]
        assert view.info.warnings == {"media": 1}
        assert not any(event.kind == "media" for event in view.events())
        with pytest.raises(MediaNotFound, match="media 99"):
            view.media_content(99)


def test_a_run_keeps_the_newest_bytes(settings, monkeypatch):
    monkeypatch.setattr(sys.modules["monitor.ingest.effects"], "MAX_RUN_MEDIA", 3000)
    with init("p", "many", settings=settings) as run:
        for step in range(20):
            run.log_histogram("weights", RNG.normal(size=50), step=step, bins=20)
    with Api(settings=settings) as api:
        kept = api.run("many").media()
        assert sum(m.size for m in kept[1:]) <= 3000  # the one at the bound is kept whole
        assert [m.step for m in kept] == list(range(20 - len(kept), 20))
        assert len(kept) > 1


def test_readers_hear_of_what_comes_alone(settings):
    with init("p", "alone", settings=settings) as run, Api(settings=settings) as api:
        run.log({"loss": 1.0}, step=1)
        run.flush()
        before = api.run("alone").info.version
        run.log_histogram("weights", [1.0, 2.0])
        run.flush()
        assert api.run("alone").info.version > before


def test_a_disabled_run_encodes_nothing():
    DisabledRun("p", "n").log_image("a", object())


def test_many_large_images_reach_a_server(settings):
    noise = RNG.integers(0, 256, (480, 480, 3), dtype=np.uint8)
    with Store.open(settings.store_url) as store, served(create_api(store, Engines(), settings)) as address:
        with init("p", "many", settings=settings.model_copy(update={"server_url": address})) as run:
            for step in range(40):
                run.log_image("noise", np.roll(noise, step, 0), step)
            assert run.flush(60)
        with Api(address) as api:
            found = api.run("many").media()
            assert [m.step for m in found] == list(range(40))
            content = api.run("many").media_content(found[7])
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.roll(noise, 7, 0))
            assert not api.run("many").info.warnings
            with pytest.raises(MediaNotFound, match="media 99"):
                api.run("many").media_content(99)
