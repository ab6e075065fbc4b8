"""Quality of artifacts: mIoU with every kind of prompt, and the drift from float to quantized."""
