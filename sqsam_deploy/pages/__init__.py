"""What the HTML reports share: the style, pieces of template, small pictures."""

from sqsam_deploy.pages.page import render

__all__ = ["render"]
