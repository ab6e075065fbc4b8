"""Prompts: clicks and boxes, and what the network is given of them."""

from sqsam_deploy.prompts.encoding import EncodedPrompt, Prompt, encode_prompt

__all__ = ["EncodedPrompt", "Prompt", "encode_prompt"]
