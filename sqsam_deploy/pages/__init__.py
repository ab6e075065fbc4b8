"""The common parts of the HTML reports: the style, pieces of template, small pictures."""

from sqsam_deploy.pages.page import render

__all__ = ["render"]
