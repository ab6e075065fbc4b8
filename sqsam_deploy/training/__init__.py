"""The paper's training recipe (arXiv 2312.06736, 1.3 and 1.4) for reference checkpoints."""
