"""What the server shows at the moment: facts, arrays, and answers about the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from vaekit.errors import DataError
from vaekit.explorer.answers import Answers
from vaekit.explorer.facts import Explored, with_map
from vaekit.explorer.subject import Subject


@dataclass(frozen=True)
class Scene:
    """A run as it is shown, all of it of one moment.

    Attributes:
        explored: What the page is told.
        answers: About the model; None while there is none.
    """

    explored: Explored
    answers: Answers | None

    @classmethod
    def of(cls, subject: Subject, explored: Explored) -> Scene:
        """A run that has a model."""
        return cls(explored, Answers(subject, explored))


class Stage:
    """A scene that stays as it is.

    Args:
        scene: What is shown.
    """

    live = False

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def news(self, after: int) -> dict[str, Any]:
        """What a training has written since; only `Live` has one, and `live` says so."""
        raise NotImplementedError

    def draw(self, name: str) -> None:
        """Make one of the maps that are made when they are asked for, and show it beside the others.

        Raises:
            DataError: E212, there is no such map to ask for.
        """
        scene = self.scene
        if scene.answers is None:
            raise DataError("E212", "there is no model yet.")
        made = with_map(scene.explored, scene.answers.subject, name)
        if self.scene is scene:  # else a newer model is shown by now
            self.scene = replace(scene, explored=made)

    def close(self) -> None:
        """End what goes on behind the scene; nothing is asked after this."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
