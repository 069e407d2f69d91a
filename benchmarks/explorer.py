"""How long the explorer takes from a place on the map to a picture: over HTTP, one question after the other.

    python benchmarks/explorer.py [SIDE] [QUESTIONS]

The model is not trained: a decoder takes as long before as after. Its pictures are SIDE × SIDE in three colours.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from pathlib import Path

import numpy as np

from vaekit.as_trained import AsTrained
from vaekit.config import Config
from vaekit.explorer.facts import explored
from vaekit.explorer.server import Explorer
from vaekit.explorer.stage import Scene, Stage
from vaekit.explorer.subject import Subject
from vaekit.prepare import compose, prepare

SIDE, QUESTIONS = 64, 200


def main(side: int = SIDE, questions: int = QUESTIONS) -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(64, side, side, 3)).astype(np.uint8)
    config = Config(preset="vae", source="array")
    data = prepare(images, config)
    subject = Subject(compose(data.kind, config, 10).model.eval(), data.kind, Path("none"))
    scene = Scene.of(subject, explored(subject, divided=AsTrained(data.train, data.heldout)))
    with Explorer(Stage(scene)) as server:
        line = http.client.HTTPConnection(server.host, server.port)
        headers = {"Content-Type": "application/json", "X-Vaekit": "1"}
        taken = []
        for place in np.random.default_rng(1).normal(size=(questions, subject.width)):
            began = time.perf_counter()
            line.request(
                "POST", "/api/decode", json.dumps({"codes": [place.tolist()], "condition": None}), headers
            )
            reply = line.getresponse()
            pixels = json.loads(reply.read())["items"][0]["image"]["pixels"]
            taken.append(time.perf_counter() - began)
            if reply.status != 200 or not pixels:
                raise RuntimeError("no picture came")
        line.close()
    half, most, worst = (1e3 * float(np.quantile(taken[5:], q)) for q in (0.5, 0.95, 1.0))
    print(f"decode of {side} × {side} × 3, {questions} questions: "
          f"median {half:.1f} ms, 95 % within {most:.1f} ms, all within {worst:.1f} ms")  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
