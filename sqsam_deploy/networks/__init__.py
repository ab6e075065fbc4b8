"""Networks: each with everything an export asks of it, and the precisions it can be made in."""
