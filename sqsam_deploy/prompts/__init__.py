"""Prompts: clicks and boxes, and what the network is given of them."""

from sqsam_deploy.prompts.encoding import EncodedPrompt, Prompt, encode_prompt, limit_clicks
from sqsam_deploy.prompts.image import check_image, prepare_image, stretch_filtered
from sqsam_deploy.prompts.saliency import SaliencyClicks, saliency_clicks
from sqsam_deploy.prompts.validate import validate_prompt

__all__ = [
    "EncodedPrompt",
    "Prompt",
    "SaliencyClicks",
    "check_image",
    "encode_prompt",
    "limit_clicks",
    "prepare_image",
    "saliency_clicks",
    "stretch_filtered",
    "validate_prompt",
]
