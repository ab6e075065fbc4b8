"""Late fusion: points as tokens, as SAM's prompt encoder makes them."""

import math

import torch
from torch import Tensor, nn

#: Learned embeddings: background click, foreground click, box corner, opposite corner.
NUM_POINT_TYPES = 4


class PointEncoder(nn.Module):
    """Random Fourier features of a position plus a learned embedding of its label.

    Source: segment-anything, `prompt_encoder.py`. Padding (label -1) becomes a learned
    "not a point" token without a position.
    """

    def __init__(self, dim: int, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.frequencies: Tensor
        self.register_buffer("frequencies", torch.randn(2, dim // 2))
        self.label_embeddings = nn.Parameter(torch.randn(NUM_POINT_TYPES, dim))
        self.padding_embedding = nn.Parameter(torch.randn(1, dim))

    def forward(self, point_coords: Tensor, point_labels: Tensor) -> Tensor:
        """Tokens of the points.

        Args:
            point_coords: BxNx2 float, (x, y) in pixels of the input square.
            point_labels: BxN float or integer; 1 foreground, 0 background, 2 and 3 box corners,
                -1 padding.

        Returns:
            BxNxC.
        """
        # SAM moves a point to its pixel's center and maps the square to [-1, 1].
        unit = (point_coords + 0.5) * (2.0 / self.image_size) - 1.0
        angles = (unit @ self.frequencies) * (2.0 * math.pi)
        position = torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)
        # Arithmetic in place of a lookup or a where: every runtime takes it.
        labels = point_labels.to(position.dtype).unsqueeze(-1)
        types = torch.arange(-1.0, NUM_POINT_TYPES, dtype=position.dtype, device=labels.device)
        one_hot = torch.relu(1.0 - torch.abs(labels - types))
        table = torch.cat([self.padding_embedding, self.label_embeddings])
        is_point = 1.0 - one_hot[..., :1]
        return position * is_point + one_hot @ table
