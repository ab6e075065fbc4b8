"""A local web page over any artifact: drop in a photo, click to refine, download the cut-out."""
