"""Kiln's images, built with whatever builder of images a machine has."""
