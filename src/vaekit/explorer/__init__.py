"""The explorer: a page on which a latent space is looked at, walked through and asked; served on this machine."""
