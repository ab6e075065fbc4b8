"""The paper's training recipe (arXiv 2312.06736, section 4) for reference checkpoints."""
