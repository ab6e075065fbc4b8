"""Cut the most salient object out of a photo, then correct the result with clicks.

python examples/cut_out.py photo.jpg cut-out.png
python examples/cut_out.py photo.jpg cut-out.png --add 310,120 --remove 40,200
python examples/cut_out.py photo.jpg cut-out.png --artifact artifacts/nano-int8.onnx
"""

import argparse
from pathlib import Path

from sqsam_deploy.checkpoint import bundled_checkpoint
from sqsam_deploy.datasets.images import read_image
from sqsam_deploy.pictures import cutout, encode_png
from sqsam_deploy.predictor import Predictor
from sqsam_deploy.runtimes import open_session


def click(text: str) -> tuple[float, float]:
    """ "310,120" as a point in pixels of the photo."""
    x, y = (float(part) for part in text.split(","))
    return x, y


def main() -> None:
    """Reads, predicts, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--artifact", type=Path, help="without it the bundled checkpoint")
    parser.add_argument("--add", type=click, nargs="*", default=[], metavar="X,Y")
    parser.add_argument("--remove", type=click, nargs="*", default=[], metavar="X,Y")
    options = parser.parse_args()

    image = read_image(options.photo)
    predictor = Predictor(open_session(options.artifact or bundled_checkpoint()))
    predictor.set_image(image)

    prompt = predictor.auto_prompt()
    for x, y in options.add:
        prompt = prompt.with_click(x, y, label=1)
    for x, y in options.remove:
        prompt = prompt.with_click(x, y, label=0)

    corrected = bool(options.add or options.remove)
    prediction = (
        predictor.predict_prompt(prompt, multimask_output=False)
        if corrected
        else predictor.predict_auto(multimask_output=False)
    )
    options.output.write_bytes(encode_png(cutout(image, prediction.masks[0])))
    print(f"{options.output}: predicted IoU {prediction.iou_predictions[0]:.2f}")


if __name__ == "__main__":
    main()
