"""Prompts: clicks and boxes, and what the network is given of them."""

from sqsam_deploy.prompts.encoding import EncodedPrompt, Prompt, encode_prompt, limit_clicks
from sqsam_deploy.prompts.image import prepare_image

__all__ = ["EncodedPrompt", "Prompt", "encode_prompt", "limit_clicks", "prepare_image"]
