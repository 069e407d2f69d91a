/** Buttons over the map: which map, which tool, closer and farther. */

import type { JSX } from "preact";
import { camera } from "./map";
import { map, mapId, run, selection } from "./state";
import { select, tool, TOOLS } from "./tools";

export function Toolbar(): JSX.Element {
  const maps = run.value?.facts.maps ?? [];
  return (
    <div class="bar" role="toolbar" aria-label="Map">
      <label class="field">
        <span>Map</span>
        <select data-testid="map-choice" value={map.value?.id} onChange={(event) => (mapId.value = event.currentTarget.value)}>
          {maps.map((one) => <option key={one.id} value={one.id}>{one.name}</option>)}
        </select>
      </label>
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
      <div class="buttons" role="group" aria-label="Zoom">
        <button type="button" data-testid="zoom-in" aria-label="Closer" title="Closer" onClick={() => camera.zoom(1.4)}>+</button>
        <button type="button" data-testid="zoom-out" aria-label="Farther" title="Farther" onClick={() => camera.zoom(1 / 1.4)}>−</button>
        <button type="button" data-testid="zoom-home" title="The whole map" onClick={() => camera.home()}>All</button>
      </div>
      {selection.value.length > 0 && (
        <button type="button" data-testid="selection-clear" onClick={() => select([])}>
          Clear {selection.value.length} selected
        </button>
      )}
    </div>
  );
}
