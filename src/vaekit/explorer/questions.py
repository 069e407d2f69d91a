"""What the page asks by POST: each question with the thread that works out its answer."""

from __future__ import annotations

from functools import partial
from typing import Any

from vaekit.explorer.answers import Answers
from vaekit.explorer.stage import Stage
from vaekit.explorer.worker import Worker

NOTHING = "there is nothing of this name."


class Missing(Exception):
    """There is nothing that could answer."""


class Questions:
    """The questions that a page may ask, by the names under which it asks them.

    Work with the model has a thread of its own; so have reading a training's files and drawing a map that takes long,
    so that neither holds up what is shown under the pointer.

    Args:
        stage: What is shown.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._model, self._files, self._maps = Worker(one_core), Worker(), Worker()

    async def decode(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Codes as items."""
        answers = self._answers()
        return await self._model.done(lambda: answers.decode(asked))

    async def encode(self, asked: dict[str, Any]) -> dict[str, Any]:
        """An item as the model sees it."""
        answers = self._answers()
        return await self._model.done(lambda: answers.encode(asked))

    async def path(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Codes as items with the likelihood of each."""
        answers = self._answers()
        way = await self._model.done(lambda: answers.path(asked))
        # one by one, so that other questions come in between
        return way.told([await self._model.done(partial(way.nll, i)) for i in range(len(way))])

    async def live(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What a training has written since the page last asked."""
        if not self.stage.live:
            raise Missing(NOTHING)
        return await self._files.done(lambda: self.stage.news(asked.get("after", 0)))

    async def draw(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Nothing, once a map that takes long is made: the facts have it then."""
        await self._maps.done(lambda: self.stage.draw(str(asked.get("id"))))
        return {}

    def _answers(self) -> Answers:
        """Those about the model that is shown at this moment."""
        if self.stage.scene.answers is None:
            raise Missing("there is no model yet.")
        return self.stage.scene.answers


def one_core() -> None:
    """Let this thread work on one core: on few rows, threads that wait for each other take longer than one alone."""
    import torch

    torch.set_num_threads(1)
