"""Share a model folder on the Hugging Face hub, and take one from there: every file held against its manifest."""

from vaekit.hub.model_folder import REFERENCE
from vaekit.hub.sharing import Shared, Sharing, pull, push

__all__ = ["REFERENCE", "Shared", "Sharing", "pull", "push"]
