"""Reading a traced graph: where a node comes from."""

from torch.fx import Node


def module_name(node: Node) -> str:
    """Dotted name of the module whose forward a node belongs to; empty at the top.

    `torch.export` records the stack of modules as {key: (path, type)}, with paths that look like
    `L['self'].encoder.levels.0` or `encoder.levels.0`, depending on how often it was traced.
    """
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return ""
    path = str(list(stack.values())[-1][0])
    return path.removeprefix("L['self']").removeprefix(".").replace("_modules.", "")
