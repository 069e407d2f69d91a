/** The latent map: ground, points, contours and marks; hover to decode, drag to pan or lasso, or the keys alone. */

import { useComputed, useSignal, useSignalEffect, type Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { fit, pan, toPlace, toScreen, zoom, type Camera } from "./camera";
import { paint } from "./colouring";
import { ends, nextEnd, setEnd } from "./ends";
import type { LatentMap } from "./facts";
import { paintField } from "./field";
import type { Point } from "./geometry";
import { number } from "./numbers";
import { cloud, type Cloud } from "./points";
import { code, codeAt, decoded, density, glance, glanceAt, map, moveTo, placeOf, run, said, xy } from "./state";
import { theme, themed } from "./theme";
import { select, selectWithin, tool } from "./tools";

const STEP = 16; // pixels that an arrow key moves
const START: Camera = { x: 0, y: 0, scale: 1, width: 0, height: 0 };

export const camera: { value: Camera; home: () => void; zoom: (factor: number) => void } = {
  value: START,
  home: () => undefined,
  zoom: () => undefined,
};

interface Layers {
  field: HTMLCanvasElement;
  points: HTMLCanvasElement;
  cloud: Cloud;
}

function sized(canvas: HTMLCanvasElement, { width, height }: Camera): void {
  const ratio = window.devicePixelRatio || 1;
  const [wide, tall] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== tall) canvas.height = tall;
}

function redraw({ field, points, cloud: dots }: Layers, shown: LatentMap, view: Camera): void {
  if (!view.width) return;
  sized(field, view);
  sized(points, view);
  const ink = { off: themed("--off"), hatch: themed("--hatch"), dense: themed("--dense") };
  paintField(field, shown, density.value, view, ink);
  dots.draw(view);
}

/** Draw at most once a frame, whatever changed. */
function useFrames(view: Signal<Camera>, layers: { current: Layers | null }): void {
  const due = useRef(0);
  const order = (): void => {
    if (due.current) return;
    due.current = requestAnimationFrame(() => {
      due.current = 0;
      if (layers.current && map.value) redraw(layers.current, map.value, view.value);
    });
  };
  useSignalEffect(() => {
    layers.current?.cloud.set(xy.value, paint.value);
    order();
  });
  useSignalEffect(() => {
    void [view.value, theme.value, map.value, density.value];
    order();
  });
}

export function LatentMapView(): JSX.Element | null {
  const [field, points, box] = [
    useRef<HTMLCanvasElement>(null),
    useRef<HTMLCanvasElement>(null),
    useRef<HTMLDivElement>(null),
  ];
  const layers = useRef<Layers | null>(null);
  const view = useSignal<Camera>(START);
  const lasso = useSignal<Point[]>([]);
  useLayoutEffect(() => {
    const made = cloud(points.current!);
    layers.current = { field: field.current!, points: points.current!, cloud: made };
    made.set(xy.value, paint.value);
    const watch = new ResizeObserver(() => resize(view, box.current!));
    watch.observe(box.current!);
    resize(view, box.current!);
    return () => watch.disconnect();
  }, []);
  useFrames(view, layers);
  useSignalEffect(() => {
    if (map.value) home(view, map.value);
  });
  useWheel(box, view);
  camera.home = () => map.value && home(view, map.value);
  camera.zoom = (factor) => (view.value = zoom(view.value, factor, [view.value.width / 2, view.value.height / 2]));
  const shown = map.value;
  if (!shown) return <p>There is no map of this run yet.</p>;
  return (
    <div
      ref={box}
      class={`map tool-${tool.value}`}
      data-testid="map"
      role="application"
      tabIndex={0}
      aria-roledescription="latent map"
      aria-label={`${shown.name}. Arrow keys move the place, Enter goes there, A and B set the ends of a path, plus and minus zoom, Escape lets go.`}
      {...usePointer(view, lasso)}
      onKeyDown={(event) => keys(event, view)}
      onBlur={() => glanceAt(null)}
    >
      <canvas ref={field} class="layer" aria-hidden="true" />
      <canvas ref={points} class="layer" aria-hidden="true" data-testid="map-points" />
      <Overlay view={view} lasso={lasso} />
    </div>
  );
}

function resize(view: Signal<Camera>, box: HTMLDivElement): void {
  const { clientWidth: width, clientHeight: height } = box;
  if (!map.value || (width === view.value.width && height === view.value.height)) return;
  view.value = fit(map.value.extent, width, height);
}

/** The whole map in sight; told by identity, so that a map that grew while training keeps the camera. */
function home(view: Signal<Camera>, shown: LatentMap): void {
  const { width, height } = view.peek();
  view.value = fit(shown.extent, width, height);
}

function useWheel(box: { current: HTMLDivElement | null }, view: Signal<Camera>): void {
  useLayoutEffect(() => {
    const turn = (event: WheelEvent): void => {
      event.preventDefault();
      view.value = zoom(view.value, Math.exp(-event.deltaY / 400), at(event));
    };
    box.current?.addEventListener("wheel", turn, { passive: false });
    return () => box.current?.removeEventListener("wheel", turn);
  }, []);
}

function at(event: MouseEvent): Point {
  const edge = (event.currentTarget as HTMLElement).getBoundingClientRect();
  return [event.clientX - edge.left, event.clientY - edge.top];
}

const corners = ([l, t]: Point, [r, b]: Point): Point[] => [[l, t], [r, t], [r, b], [l, b]];

function usePointer(view: Signal<Camera>, lasso: Signal<Point[]>) {
  const from = useRef<Point | null>(null);
  const last = useRef<Point>([0, 0]);
  const down = (event: PointerEvent): void => {
    if (event.button) return;
    from.current = last.current = at(event);
    if (tool.value !== "look" && tool.value !== "path") (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    if (tool.value === "lasso") lasso.value = [from.current];
  };
  const move = (event: PointerEvent): void => {
    const here = at(event);
    if (from.current && tool.value === "pan") view.value = pan(view.value, here[0] - last.current[0], here[1] - last.current[1]);
    else if (from.current && tool.value === "lasso") lasso.value = [...lasso.value, here];
    else if (from.current && tool.value === "box") lasso.value = corners(from.current, here);
    else glanceAt(codeAt(toPlace(view.value, here)), performance.now());
    last.current = here;
  };
  const up = (event: PointerEvent): void => {
    if (!from.current) return;
    if (lasso.value.length > 2) selectWithin(lasso.value.map((point) => toPlace(view.value, point)), event.shiftKey);
    else if (tool.value === "look") moveTo(codeAt(toPlace(view.value, at(event))));
    else if (tool.value === "path") nextEnd(codeAt(toPlace(view.value, at(event))), "a place on the map");
    from.current = null;
    lasso.value = [];
  };
  const away = (): void => {
    if (from.current && tool.value !== "look") return;
    glanceAt(null);
  };
  const cancel = (): void => {
    from.current = null;
    lasso.value = [];
  };
  return { onPointerDown: down, onPointerMove: move, onPointerUp: up, onPointerLeave: away, onPointerCancel: cancel };
}

const ARROWS: Record<string, Point> = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP],
  ArrowDown: [0, STEP],
};

function keys(event: KeyboardEvent, view: Signal<Camera>): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const where = glance.value ?? code.value;
  const place = placeOf(where);
  const arrow = ARROWS[event.key];
  const does: Record<string, () => void> = {
    Enter: () => moveTo(where),
    " ": () => moveTo(where),
    a: () => setEnd("a", where, "a place on the map"),
    b: () => setEnd("b", where, "a place on the map"),
    "+": () => (view.value = zoom(view.value, 1.25, [view.value.width / 2, view.value.height / 2])),
    "=": () => (view.value = zoom(view.value, 1.25, [view.value.width / 2, view.value.height / 2])),
    "-": () => (view.value = zoom(view.value, 0.8, [view.value.width / 2, view.value.height / 2])),
    "0": () => camera.home(),
    Escape: () => (glance.value ? glanceAt(null) : select([])),
  };
  if (arrow && place) step(view.value, place, arrow, event.shiftKey ? 4 : 1);
  else if (does[event.key]) does[event.key]();
  else return;
  event.preventDefault();
}

function step(view: Camera, place: Point, arrow: Point, times: number): void {
  const [left, top] = toScreen(view, place);
  const next = toPlace(view, [left + times * arrow[0], top + times * arrow[1]]);
  glanceAt(codeAt(next), performance.now());
  said.value = `at ${number(next[0])}, ${number(next[1])}`;
}

function Overlay({ view, lasso }: { view: Signal<Camera>; lasso: Signal<Point[]> }): JSX.Element | null {
  const now = view.value;
  const shown = map.value;
  const lines = useMemo(() => contourPaths(shown), [shown]);
  if (!shown || !now.width) return null;
  const [left, top] = toScreen(now, [0, 0]);
  const outline = lasso.value.map((point) => point.join()).join(" ");
  return (
    <svg class="layer overlay" viewBox={`0 0 ${now.width} ${now.height}`} aria-hidden="true">
      <g transform={`translate(${left} ${top}) scale(${now.scale} ${-now.scale})`}>
        {lines.map(({ d, of }, i) => (
          <path key={i} d={d} class={`contour ${of}`} vector-effect="non-scaling-stroke" />
        ))}
      </g>
      <Levels view={now} shown={shown} />
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
