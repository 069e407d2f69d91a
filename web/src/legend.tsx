/** Colour by what, and the legend, whose entries filter. */

import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { by, choices, colouring, kept, tints, toggle } from "./colouring";
import { css, type Rgb } from "./colours";
import { number } from "./numbers";
import { map, run } from "./state";

function Swatch({ tint }: { tint: Rgb }): JSX.Element {
  const dot = useRef<HTMLSpanElement>(null);
  const colour = css(tint);
  useLayoutEffect(() => {
    dot.current!.style.backgroundColor = colour; // through the CSSOM: the page allows no style attributes
  }, [colour]);
  return <span ref={dot} class="swatch" />;
}

export function Legend(): JSX.Element | null {
  const facts = run.value?.facts;
  const scheme = colouring.value;
  if (!facts || !scheme) return null;
  const known = choices(facts);
  return (
    <div class="legend">
      <label class="field">
        <span>Colour by</span>
        <select
          data-testid="colour-by"
          value={known.some(({ id }) => id === by.value) ? by.value : known[0].id}
          onChange={(event) => {
            by.value = event.currentTarget.value;
            kept.value = null;
          }}
        >
          {known.map(({ id, name }) => <option key={id} value={id}>{name}</option>)}
        </select>
      </label>
      <div class="entries" role="group" aria-label="Legend: press an entry to show only it">
        {scheme.entries.map((entry, at) => (
          <button
            key={at}
            type="button"
            class="entry"
            data-testid={`legend-${at}`}
            aria-pressed={kept.value?.has(at) ?? false}
            onClick={() => toggle(at)}
          >
            <Swatch tint={tints.value[at]} /> {entry.name} <span class="muted">{number(entry.count)}</span>
          </button>
        ))}
        {kept.value && (
          <button type="button" class="entry" data-testid="legend-all" onClick={() => (kept.value = null)}>
            Show all
          </button>
        )}
      </div>
      <MapKey />
    </div>
  );
}

function MapKey(): JSX.Element {
  const of = (what: string) => (map.value?.contours ?? []).filter((contour) => contour.of === what);
  const has = (what: string): boolean => of(what).length > 0;
  const levels = (what: string): string => of(what).map(({ level }) => level.replace(/ ?%/, "")).join(", ") + " %";
  return (
    <p class="key muted">
      {has("density") && <span><i class="line density" /> holds {levels("density")} of the data</span>}
      {has("prior") && <span><i class="line prior" /> holds {levels("prior")} of the prior</span>}
      <span><i class="patch" /> off the data</span>
      <span><i class="cross" /> where you are</span>
      <span><i class="ring eye-ring" /> where you point</span>
      <span><i class="ring" /> nearest item</span>
    </p>
  );
}
