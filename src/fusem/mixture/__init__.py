"""Mixtures: independent rows, each from one of K components of a family."""
