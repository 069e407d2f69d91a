/** The latent map: hover to decode, drag to pan or lasso, or use the keys alone. */

import { useSignal, useSignalEffect, type Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { fit, pan, toPlace, toScreen, zoom, type Camera } from "./camera";
import { paint } from "./colouring";
import { nextEnd, setEnd } from "./ends";
import type { LatentMap } from "./facts";
import { paintField } from "./field";
import type { Point } from "./geometry";
import { number } from "./numbers";
import { Overlay } from "./overlay";
import { cloud, type Cloud } from "./points";
import { code, codeAt, density, glance, glanceAt, map, moveTo, placeOf, said, xy } from "./state";
import { theme, themed } from "./theme";
import { select, selectWithin, tool } from "./tools";

const STEP = 16; // pixels that an arrow key moves
const START: Camera = { x: 0, y: 0, scale: 1, stretch: 1, width: 0, height: 0 };

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

export function LatentMapView(): JSX.Element {
  return map.value ? <MapBox shown={map.value} /> : <p class="muted">There is no map of this run yet.</p>;
}

function MapBox({ shown }: { shown: LatentMap }): JSX.Element {
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
  const last = useRef("");
  useSignalEffect(() => {
    if (!map.value) return;
    if (map.value.id !== last.current || !moved) home(view, map.value);
    last.current = map.value.id;
  });
  useWheel(box, view);
  camera.home = () => map.value && home(view, map.value);
  camera.zoom = (factor) => closer(view, factor);
  return (
    <div
      ref={box}
      class={`map tool-${tool.value}`}
      data-testid="map"
      role="application"
      tabIndex={0}
      aria-roledescription="latent map"
      aria-label={`${shown.name}. Arrow keys move the place, Enter goes there or sets a corner of a box or lasso, space closes the lasso, A and B set the ends of a path, plus and minus zoom, Escape lets go.`}
      {...usePointer(view, lasso)}
      onKeyDown={(event) => keys(event, view, lasso)}
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
  view.value = moved ? { ...view.value, width, height } : fit(map.value.extent, width, height);
}

/** Whether the person moved the camera: then a map that changes while training leaves it alone. */
let moved = false;

function turn(view: Signal<Camera>, next: Camera): void {
  moved = true;
  view.value = next;
}

/** The whole map in sight. */
function home(view: Signal<Camera>, shown: LatentMap): void {
  moved = false;
  const { width, height } = view.peek();
  view.value = fit(shown.extent, width, height);
}

function closer(view: Signal<Camera>, factor: number): void {
  turn(view, zoom(view.value, factor, [view.value.width / 2, view.value.height / 2]));
}

function useWheel(box: { current: HTMLDivElement | null }, view: Signal<Camera>): void {
  useLayoutEffect(() => {
    const wheel = (event: WheelEvent): void => {
      event.preventDefault();
      turn(view, zoom(view.value, Math.exp(-event.deltaY / 400), at(event)));
    };
    box.current?.addEventListener("wheel", wheel, { passive: false });
    return () => box.current?.removeEventListener("wheel", wheel);
  }, []);
}

function at(event: MouseEvent): Point {
  const edge = (event.currentTarget as HTMLElement).getBoundingClientRect();
  return [event.clientX - edge.left, event.clientY - edge.top];
}

/** The four corners of a box between two opposite ones. */
const corners = ([l, t]: Point, [r, b]: Point): Point[] => [[l, t], [r, t], [r, b], [l, b]];

function usePointer(view: Signal<Camera>, lasso: Signal<Point[]>) {
  const from = useRef<Point | null>(null);
  const last = useRef<Point>([0, 0]);
  const down = (event: PointerEvent): void => {
    if (event.button) return;
    from.current = last.current = at(event);
    if (tool.value !== "look" && tool.value !== "path") (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    if (tool.value === "lasso") lasso.value = [toPlace(view.value, from.current)];
  };
  const move = (event: PointerEvent): void => {
    const here = at(event);
    if (from.current && tool.value === "pan") turn(view, pan(view.value, here[0] - last.current[0], here[1] - last.current[1]));
    else if (from.current && tool.value === "lasso") lasso.value = [...lasso.value, toPlace(view.value, here)];
    else if (from.current && tool.value === "box") lasso.value = corners(toPlace(view.value, from.current), toPlace(view.value, here));
    else glanceAt(codeAt(toPlace(view.value, here)), performance.now());
    last.current = here;
  };
  const up = (event: PointerEvent): void => {
    if (!from.current) return;
    if (lasso.value.length > 2) selectWithin(lasso.value, event.shiftKey);
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

/** Enter: go there; with another tool, the next end of a path or corner of a box or lasso. */
function pick(place: Point, where: number[], lasso: Signal<Point[]>): void {
  const marked = [...lasso.value, place];
  if (tool.value === "path") return nextEnd(where, "a place on the map");
  if (tool.value !== "box" && tool.value !== "lasso") return moveTo(where);
  lasso.value = marked;
  said.value = `corner ${marked.length} set`;
  if (tool.value === "box" && marked.length === 2) close(corners(marked[0], marked[1]), lasso);
}

function close(polygon: Point[], lasso: Signal<Point[]>): void {
  if (polygon.length > 2) selectWithin(polygon, false);
  lasso.value = [];
}

function letGo(lasso: Signal<Point[]>): void {
  if (lasso.value.length) lasso.value = [];
  else if (glance.value) glanceAt(null);
  else select([]);
}

function keys(event: KeyboardEvent, view: Signal<Camera>, lasso: Signal<Point[]>): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const where = glance.value ?? code.value;
  const place = placeOf(where);
  const arrow = ARROWS[event.key];
  const does: Record<string, () => void> = {
    Enter: () => place && pick(place, where, lasso),
    " ": () => (tool.value === "lasso" ? close(lasso.value, lasso) : place && pick(place, where, lasso)),
    a: () => setEnd("a", where, "a place on the map"),
    b: () => setEnd("b", where, "a place on the map"),
    "+": () => closer(view, 1.25),
    "=": () => closer(view, 1.25),
    "-": () => closer(view, 0.8),
    "0": () => camera.home(),
    Escape: () => letGo(lasso),
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
