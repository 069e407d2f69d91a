/** What is drawn over the points: contours and their levels, the lasso, and the marks of places. */

import { useComputed, type Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { toScreen, type Camera } from "./camera";
import { ends } from "./ends";
import type { LatentMap } from "./facts";
import type { Point } from "./geometry";
import { code, decoded, glance, map, placeOf, run, xy } from "./state";

export function Overlay({ view, lasso }: { view: Signal<Camera>; lasso: Signal<Point[]> }): JSX.Element | null {
  const now = view.value;
  const shown = map.value;
  const lines = useMemo(() => contourPaths(shown), [shown]);
  if (!shown || !now.width) return null;
  const [left, top] = toScreen(now, [0, 0]);
  const outline = lasso.value.map((point) => toScreen(now, point).join()).join(" ");
  return (
    <svg class="layer overlay" viewBox={`0 0 ${now.width} ${now.height}`} aria-hidden="true">
      <g transform={`translate(${left} ${top}) scale(${now.scale} ${-now.scale * now.stretch})`}>
        {lines.map(({ d, of }, i) => (
          <path key={i} d={d} class={`contour ${of}`} vector-effect="non-scaling-stroke" />
        ))}
      </g>
      <Levels view={now} shown={shown} />
      <Axes view={now} names={shown.axes} />
      {outline && <polygon points={outline} class="lasso" />}
      <Marks view={now} />
    </svg>
  );
}

function contourPaths(shown: LatentMap | null): { d: string; of: string }[] {
  const line = (points: [number, number][]) => points.map(([x, y], i) => `${i ? "L" : "M"}${x} ${y}`).join("");
  return (shown?.contours ?? []).map(({ of, lines }) => ({ of, d: lines.map(line).join("") }));
}

/** The level's name at the top of each contour's longest line. */
function Levels({ view, shown }: { view: Camera; shown: LatentMap }): JSX.Element {
  return (
    <>
      {shown.contours.map(({ of, level, lines }, i) => {
        const longest = lines.reduce((best, line) => (line.length > best.length ? line : best), lines[0] ?? []);
        if (!longest.length) return null;
        const top = longest.reduce((best, point) => (of === "prior" ? point[1] > best[1] : point[1] < best[1]) ? point : best);
        const [left, high] = toScreen(view, top);
        if (high < 12 || high > view.height - 4 || left < 20 || left > view.width - 20) return null;
        return <text key={i} x={left} y={of === "prior" ? high - 3 : high + 12} class={`level ${of}`}>{level}</text>;
      })}
    </>
  );
}

/** What a map's axes are: at the right end of the one, at the upper end of the other. */
function Axes({ view, names: [right, up] }: { view: Camera; names: [string, string] }): JSX.Element {
  return (
    <>
      {right && <text x={view.width - 10} y={view.height - 10} class="axis end-text">{right} →</text>}
      {up && <text x={10} y={20} class="axis">↑ {up}</text>}
    </>
  );
}

function Marks({ view }: { view: Camera }): JSX.Element {
  const nearest = useComputed(() => decoded.value?.nearest?.index ?? -1);
  const mark = (where: number[] | null | undefined): Point | null => {
    const place = where?.length ? placeOf(where) : null;
    return place && toScreen(view, place);
  };
  const [here, eye] = [mark(code.value), mark(glance.value)];
  const [a, b] = [mark(ends.value.a?.code), mark(ends.value.b?.code)];
  const ring = nearest.value >= 0 && run.value ? toScreen(view, [xy.value[2 * nearest.value], xy.value[2 * nearest.value + 1]]) : null;
  return (
    <>
      {a && b && <line x1={a[0]} y1={a[1]} x2={b[0]} y2={b[1]} class="way" />}
      {ring && <circle cx={ring[0]} cy={ring[1]} r="7" class="nearest" />}
      {here && <path d={`M${here[0] - 9} ${here[1]}h18M${here[0]} ${here[1] - 9}v18`} class="here" />}
      {eye && <circle cx={eye[0]} cy={eye[1]} r="9" class="eye" />}
      {(["A", "B"] as const).map((name, i) => {
        const end = [a, b][i];
        return (
          end && (
            <g key={name}>
              <circle cx={end[0]} cy={end[1]} r="11" class="end" />
              <text x={end[0]} y={end[1] + 4} class="end-name">{name}</text>
            </g>
          )
        );
      })}
    </>
  );
}
