"""Stands for MatAnyone's package in tests: its call interface, without a model. Nothing here is from that package."""
