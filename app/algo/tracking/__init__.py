"""Following masks through a video without a model."""
