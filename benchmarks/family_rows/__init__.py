"""Families of generative models beside each other at equal time; a file for each model."""
