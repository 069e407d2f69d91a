/** Buttons over the map: which map and which tool; on it: closer and farther, and to let the selection go. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { camera } from "./map";
import { number } from "./numbers";
import { load } from "./source";
import { attempt, map, mapId, run, said, selection, source, start } from "./state";
import { select, tool, TOOLS } from "./tools";

/** The map that is being made, by its name. */
const making = signal("");

/** Show a map; one that is not there yet is made first, and the others stay at hand meanwhile. */
async function choose(id: string): Promise<void> {
  mapId.value = id;
  const wanted = run.value?.facts.later.find((one) => one.id === id);
  if (!wanted || making.value) return;
  making.value = wanted.name;
  said.value = `${wanted.name} is being made`;
  const loaded = await attempt("draw", async () => {
    await source.value!.draw(id);
    return load();
  });
  making.value = "";
  if (!loaded) return;
  start(loaded, source.value!);
  said.value = `${wanted.name} is there`;
}

export function Toolbar(): JSX.Element {
  const { maps, later } = run.value?.facts ?? { maps: [], later: [] };
  return (
    <div class="bar" role="toolbar" aria-label="Map">
      <label class="field">
        <span>Map</span>
        <select data-testid="map-choice" value={map.value?.id} onChange={(event) => void choose(event.currentTarget.value)}>
          {[...maps, ...later].map((one) => <option key={one.id} value={one.id}>{one.name}</option>)}
        </select>
      </label>
      {making.value && <span class="muted" data-testid="making">{making.value}: being made, up to two minutes…</span>}
      <div class="buttons" role="group" aria-label="What a press on the map does">
        {TOOLS.map(({ id, name, tip }) => (
          <button
            key={id}
            type="button"
            data-testid={`tool-${id}`}
            aria-pressed={tool.value === id}
            title={tip}
            onClick={() => (tool.value = id)}
          >
            {name}
          </button>
        ))}
      </div>
    </div>
  );
}

/** In a corner of the map. */
export function Zoom(): JSX.Element {
  return (
    <div class="zoom" role="group" aria-label="Zoom">
      <button type="button" data-testid="zoom-in" aria-label="Closer" title="Closer" onClick={() => camera.zoom(1.4)}>+</button>
      <button type="button" data-testid="zoom-out" aria-label="Farther" title="Farther" onClick={() => camera.zoom(1 / 1.4)}>−</button>
      <button type="button" data-testid="zoom-home" title="The whole map" onClick={() => camera.home()}>All</button>
    </div>
  );
}

/** In another corner, so that nothing moves when something is selected. */
export function ClearSelected(): JSX.Element | null {
  const count = selection.value.length;
  if (!count) return null;
  return (
    <button type="button" class="clear-selected" data-testid="selection-clear" onClick={() => select([])}>
      Clear {number(count)} selected
    </button>
  );
}
