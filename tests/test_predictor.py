import numpy as np
import pytest
import torch

from sqsam_deploy.checkpoint.loading import Checkpoint
from sqsam_deploy.errors import DataError, UsageError
from sqsam_deploy.model.config import NANO, RELEASE_2023_12, ModelConfig
from sqsam_deploy.model.description import config_of, describe
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.predictor import Predictor
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.prompts.saliency import saliency_clicks
from sqsam_deploy.runtimes.session import Session
from sqsam_deploy.runtimes.torch import TorchSession


class Recorder(Session):
    """Keeps what it is fed; answers four masks, each a quarter of the square, IoUs out of order."""

    def __init__(self, config: ModelConfig = NANO) -> None:
        self.metadata = describe(config, runtime="torch", precision="fp32", weights_sha256="0" * 64)
        self.feeds: list[dict[str, np.ndarray]] = []

    def execute(self, feeds):
        self.feeds.append(dict(feeds))
        size, count = self.metadata.mask_size, config_of(self.metadata).num_masks
        masks = np.full((1, count, size, size), -1, np.float32)
        half = size // 2
        corners = [(0, 0), (0, half), (half, 0), (half, half)]
        for mask, (top, left) in zip(masks[0], corners, strict=False):
            mask[top : top + half, left : left + half] = 1
        iou = np.array([[0.2, 0.9, 0.1, 0.5][:count]], np.float32)
        return {"low_res_masks": masks, "iou_predictions": iou}


class Saliency:
    """Saliency that is a rectangle, whatever the photo; counts how often it was asked."""

    def __init__(self, rows: slice = slice(8, 24), columns: slice = slice(16, 48)) -> None:
        self.asked, self._rectangle = 0, (rows, columns)

    def saliency_map(self, image: np.ndarray) -> np.ndarray:
        self.asked += 1
        saliency = np.zeros((32, 64), np.float32)
        saliency[self._rectangle] = 1
        return saliency


IMAGE = np.random.default_rng(2).integers(0, 256, (100, 200, 3), np.uint8)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def predictor(recorder) -> Predictor:
    predictor = Predictor(recorder, Saliency())
    predictor.set_image(IMAGE)
    return predictor


def tokens(recorder: Recorder) -> list[tuple[float, float, float]]:
    """The points of the last run that are not padding, in pixels of IMAGE, with their labels."""
    feeds = recorder.feeds[-1]
    coords = feeds["point_coords"][0] * (200 / 256, 100 / 256)
    labels = feeds["point_labels"][0]
    return [
        (*np.round(p, 3).tolist(), label)
        for p, label in zip(coords, labels, strict=True)
        if label >= 0
    ]


def channel(recorder: Recorder, name: str) -> np.ndarray:
    return recorder.feeds[-1]["prompt_maps"][0][("clicks", "box").index(name)]


def test_masks_come_best_first_at_the_size_of_the_image(predictor):
    prediction = predictor.predict([[20, 30]], [1])
    assert prediction.iou_predictions.tolist() == pytest.approx([0.9, 0.5, 0.2, 0.1])
    assert prediction.masks.shape == (4, 100, 200)
    assert prediction.low_res_masks.shape == (4, 128, 128)
    expected = np.zeros((100, 200), bool)
    expected[:50, 100:] = True
    np.testing.assert_array_equal(prediction.masks[0], expected)


def test_a_single_mask_is_the_best_one(predictor):
    single = predictor.predict([[20, 30]], [1], multimask_output=False)
    every = predictor.predict([[20, 30]], [1])
    assert single.masks.shape == (1, 100, 200)
    np.testing.assert_array_equal(single.masks[0], every.masks[0])
    assert single.iou_predictions[0] == every.iou_predictions[0]


def test_clicks_keep_their_order_and_labels(predictor, recorder):
    predictor.predict([[20, 30], [150, 90]], [1, 0])
    assert tokens(recorder) == [(20, 30, 1), (150, 90, 0)]


def test_a_background_click_is_drawn_as_a_hole_in_the_box_channel(predictor, recorder):
    predictor.predict([[20, 30]], [1])
    assert (channel(recorder, "box") == 255).all()
    predictor.predict([[20, 30], [150, 90]], [1, 0])
    hole = np.argwhere(channel(recorder, "box") == 0)
    np.testing.assert_allclose(hole.mean(axis=0), (90 * 2.56, 150 * 1.28), atol=0.5)
    assert (channel(recorder, "clicks") == 255).sum() == pytest.approx(29, abs=3)


def test_only_background_clicks_are_a_prompt(predictor, recorder):
    predictor.predict([[150, 90]], [0])
    assert tokens(recorder) == [(150, 90, 0)]
    assert not channel(recorder, "clicks").any()


def test_a_box_and_clicks_go_together(predictor, recorder):
    predictor.predict([[20, 30]], [1], box=(10, 20, 50, 80))
    assert tokens(recorder) == [(20, 30, 1), (10, 20, 2), (50, 80, 3)]
    assert channel(recorder, "clicks").any()
    rows, columns = np.nonzero(channel(recorder, "box"))
    # Edges, 10..50 and 20..80 in the photo, on the square's pixel grid.
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (13, 64, 52, 204)


def test_a_box_may_be_given_from_any_corner(predictor, recorder):
    predictor.predict(box=np.array([50, 80, 10, 20]))
    assert tokens(recorder) == [(10, 20, 2), (50, 80, 3)]


def test_no_prompt_at_all_is_allowed(predictor, recorder):
    assert predictor.predict().masks.shape == (4, 100, 200)
    assert tokens(recorder) == []
    assert (channel(recorder, "box") == 255).all()


def test_points_labeled_minus_one_do_not_count(predictor, recorder):
    predictor.predict([[20, 30], [0, 0]], [1, -1])
    assert tokens(recorder) == [(20, 30, 1)]


def test_clicks_outside_move_to_the_edge(predictor, recorder):
    predictor.predict([[-50, 30], [300, 120], [20, -0.5]], [1, 1, 0])
    assert tokens(recorder) == [(0, 30, 1), (199, 99, 1), (20, 0, 0)]


@pytest.mark.parametrize("click", [(1000, 50), (50, 1000), (-300, 50)])
def test_a_click_that_is_nowhere_near_the_image_is_an_error(predictor, click):
    with pytest.raises(UsageError, match="200x100"):
        predictor.predict([click], [1])


@pytest.mark.parametrize(
    "prompt",
    [
        {"box": (0.2, 0.2, 0.8, 0.8)},
        {"box": np.array([0, 0, 1, 1])},
        {"point_coords": [[0.5, 0.25]], "point_labels": [1]},
        {"point_coords": [[0.5, 1], [1, 0]], "point_labels": [1, 0]},
        {"point_coords": [[60, 30]], "point_labels": [1], "box": (0.1, 0.2, 0.3, 0.4)},
    ],
)
def test_shares_of_the_image_are_not_taken_for_pixels(predictor, prompt):
    with pytest.raises(UsageError, match="200x100"):
        predictor.predict(**prompt)


def test_the_first_pixel_may_be_clicked(predictor, recorder):
    predictor.predict([[0, 0], [0.5, 30]], [1, 0])
    assert tokens(recorder) == [(0, 0, 1), (0.5, 30, 0)]
    predictor.predict([[1, 0]], [1])


def test_a_box_is_cut_at_the_edge(predictor, recorder):
    predictor.predict(box=(-30, 20, 900, 80))
    assert tokens(recorder) == [(0, 20, 2), (199, 80, 3)]


def test_a_box_outside_is_an_error(predictor):
    with pytest.raises(UsageError, match="outside the image of 200x100 pixels"):
        predictor.predict(box=(300, 20, 400, 80))
    with pytest.raises(UsageError, match="outside"):
        predictor.predict(box=(10, -40, 50, -3))


def test_of_too_many_clicks_the_first_and_the_latest_count(predictor, recorder):
    predictor.predict([[i, 0] for i in range(0, 90, 10)], [1] * 9)
    assert [x for x, _, _ in tokens(recorder)] == [0, 40, 50, 60, 70, 80]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1, 2]], None), "go together"),
        (([[1, 2]], [1, 1]), "Nx2"),
        (([1, 2], [1, 1]), "Nx2"),
        (([[1, 2]], [2]), "a box goes into box"),
        (([[float("nan"), 2]], [1]), "finite"),
        (([["a", 2]], [1]), "numbers"),
        ((None, None, (1, 2, 3)), r"\(x0, y0, x1, y1\)"),
        ((None, None, (1, 2, 3, float("inf"))), "finite"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(predictor, arguments, message):
    with pytest.raises(UsageError, match=message):
        predictor.predict(*arguments)


def test_an_image_must_be_set_first(recorder):
    predictor = Predictor(recorder, Saliency())
    for call in (predictor.predict, predictor.predict_auto, predictor.auto_prompt):
        with pytest.raises(UsageError, match="set_image"):
            call()


def test_what_is_no_image_leaves_the_old_one(predictor, recorder):
    with pytest.raises(DataError):
        predictor.set_image(np.zeros((5, 5), np.uint8))
    assert predictor.predict([[20, 30]], [1]).masks.shape == (4, 100, 200)


def test_the_automatic_start_clicks_on_the_salient_blob(predictor, recorder):
    predictor.predict_auto()
    # The blob covers the middle half of the photo in both directions.
    expected = [(99.5, 49.5), (74.5, 37), (124.5, 37), (74.5, 62), (124.5, 62)]
    corners = [(50, 25, 2), (150, 75, 3)]
    clicks = [(*p, 1) for p in expected]
    np.testing.assert_allclose(tokens(recorder), clicks + corners, atol=0.01)
    rows, columns = np.nonzero(channel(recorder, "box"))
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (64, 192, 64, 192)


def test_the_automatic_start_is_predict_with_its_clicks_and_box(predictor, recorder):
    predictor.predict_auto()
    prompt = predictor.auto_prompt()
    predictor.predict(prompt.point_coords, prompt.point_labels, (50, 25, 150, 75))
    for name, value in recorder.feeds[0].items():
        np.testing.assert_array_equal(value, recorder.feeds[1][name])


def test_the_automatic_start_shows_the_mask_that_is_most_like_the_blob(recorder):
    predictor = Predictor(recorder, Saliency(slice(17, 30), slice(3, 40)))
    predictor.set_image(IMAGE)
    started = predictor.predict_auto()
    # Bottom left first, which has the lowest predicted IoU; the others by theirs.
    assert started.iou_predictions.tolist() == pytest.approx([0.1, 0.9, 0.5, 0.2])
    expected = np.zeros((100, 200), bool)
    expected[50:, :100] = True
    np.testing.assert_array_equal(started.masks[0], expected)
    only = predictor.predict_auto(multimask_output=False)
    np.testing.assert_array_equal(only.masks, started.masks[:1])
    # A person's click takes over: then the predicted IoU chooses.
    corrected = predictor.auto_prompt().with_click(150, 90, 0)
    assert corrected.box is None
    assert predictor.predict_prompt(corrected).iou_predictions[0] == pytest.approx(0.9)


def test_the_clicks_carry_the_blob_they_lie_on(predictor):
    clicks = predictor.auto_clicks()
    expected = saliency_clicks(Saliency().saliency_map(IMAGE))
    np.testing.assert_array_equal(clicks.blob, expected.blob)


def test_clicks_are_added_to_and_taken_from_the_automatic_start(predictor, recorder):
    start = predictor.auto_prompt()
    more = start.with_click(150, 90, 0)
    predictor.predict_prompt(more)
    assert tokens(recorder)[-1] == (150, 90, 0)
    assert len(tokens(recorder)) == 6
    predictor.predict_prompt(more.without_click(0).without_click(-1))
    np.testing.assert_allclose([p[:2] for p in tokens(recorder)], start.point_coords[1:], atol=0.01)
    assert len(start.point_labels) == 5


def test_a_click_that_is_not_there_cannot_be_removed():
    prompt = Prompt().with_click(1, 2, 1)
    for index in (1, -2):
        with pytest.raises(UsageError, match="does not exist"):
            prompt.without_click(index)


def test_editing_reads_the_photo_once_and_asks_for_its_saliency_once(recorder):
    saliency, photo = Saliency(), IMAGE.copy()
    predictor = Predictor(recorder, saliency)
    predictor.set_image(photo)
    photo[:] = 0  # whoever reads it again sees nothing
    prompt = predictor.auto_prompt()
    predictor.predict_auto()
    for x in range(0, 50, 10):
        prompt = prompt.with_click(x, 5, 0)
        predictor.predict_prompt(prompt)
    assert (saliency.asked, len(recorder.feeds)) == (1, 6)
    assert all(np.array_equal(f["image"], recorder.feeds[0]["image"]) for f in recorder.feeds)
    assert recorder.feeds[0]["image"].any()
    predictor.set_image(IMAGE[::-1].copy())
    predictor.predict_auto()
    assert saliency.asked == 2


def test_the_release_never_sees_background_clicks():
    recorder = Recorder(RELEASE_2023_12)
    predictor = Predictor(recorder, Saliency())
    predictor.set_image(IMAGE)
    predictor.predict([[20, 30]], [1])
    predictor.predict([[20, 30], [150, 90]], [1, 0])
    first, second = recorder.feeds
    assert first.keys() == {"image", "prompt_maps"}
    np.testing.assert_array_equal(first["prompt_maps"], second["prompt_maps"])


def test_a_network_of_flesh_and_blood_reacts_to_clicks():
    torch.manual_seed(0)
    model = SqueezeSAM(NANO).eval()
    checkpoint = Checkpoint(model, NANO, "random", "0" * 64, {}, None)
    predictor = Predictor(TorchSession(checkpoint), Saliency())
    predictor.set_image(IMAGE)
    one = predictor.predict([[20, 30]], [1]).low_res_masks
    other = predictor.predict([[160, 80]], [1]).low_res_masks
    assert one.shape == (4, 128, 128)
    assert np.abs(one - other).max() > 0
    again = predictor.predict([[20, 30]], [1]).low_res_masks
    np.testing.assert_array_equal(one, again)
