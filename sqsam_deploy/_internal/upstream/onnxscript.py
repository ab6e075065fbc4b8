"""Private parts of onnxscript, so that torch's optimizer of ONNX graphs takes half as long."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

from sqsam_deploy._internal.upstream.patches import Library, Used, patch

ONNXSCRIPT = Library("onnxscript", ("0.7",))


@patch(ONNXSCRIPT, "exporting to ONNX takes longer")
def refused_by_operator(used: Used) -> Iterator[None]:
    """Tries a rewrite rule only at nodes of the operator that its pattern ends in.

    onnxscript 0.7 sorts the whole graph by operator before it looks at a node, again for each node
    and each rule that has several outputs.
    """
    from onnxscript.rewriter._basics import MatchResult
    from onnxscript.rewriter._matcher import SimplePatternMatcher

    match = SimplePatternMatcher.match

    def match_operator(matcher: Any, model: Any, graph: Any, node: Any, **options: Any) -> Any:
        ends_in = matcher.pattern.output_nodes[0].op_identifier()
        if ends_in is not None and ends_in != node.op_identifier():
            used()
            return MatchResult().fail("another operator")
        return match(matcher, model, graph, node, **options)

    with mock.patch.object(SimplePatternMatcher, "match", match_operator):
        yield
