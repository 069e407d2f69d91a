"""Families of generative models beside each other at equal minutes; a file for each model."""
