/** A pad to draw on, with the pointer or with the arrow keys (space puts the pen down and lifts it). */

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Given } from "./facts";
import { darkEdges, givenOf } from "./picture";
import { run } from "./state";

const SIDE = 224;
/** How wide the pen is on the pad: what it draws is no fainter than a pixel and a half of the picture. */
const penOf = (width: number): number => SIDE * Math.max(0.09, 1.5 / width);

interface Pen {
  down: boolean;
  at: [number, number];
}

function colours(shape: [number, number, number]): [string, string] {
  const { facts, array } = run.value!;
  const items = facts.items;
  const dark = items?.form !== "image" || darkEdges(array(items.pixels), shape, Math.min(64, items.pixels.shape[0]));
  return dark ? ["#000", "#fff"] : ["#fff", "#000"];
}

export function Pad({ shape, onGiven }: { shape: [number, number, number]; onGiven: (given: Given) => void }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const pen = useRef<Pen>({ down: false, at: [SIDE / 2, SIDE / 2] });
  const [height, width] = shape;
  const tall = Math.round((SIDE * height) / width);
  const [paper, ink] = colours(shape);
  const clear = (): void => {
    const context = canvas.current!.getContext("2d")!;
    context.fillStyle = paper;
    context.fillRect(0, 0, SIDE, tall);
  };
  useEffect(clear, [paper, tall]);
  const line = (to: [number, number]): void => {
    const context = canvas.current!.getContext("2d")!;
    context.strokeStyle = ink;
    context.lineWidth = penOf(width);
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...pen.current.at);
    context.lineTo(to[0] + 0.01, to[1]);
    context.stroke();
    pen.current.at = to;
  };
  const place = (event: PointerEvent): [number, number] => {
    const edge = canvas.current!.getBoundingClientRect();
    return [((event.clientX - edge.left) / edge.width) * SIDE, ((event.clientY - edge.top) / edge.height) * tall];
  };
  const done = (): void => {
    if (!pen.current.down) return;
    pen.current.down = false;
    onGiven(givenOf(canvas.current!, { width: SIDE, height: tall }, shape));
  };
  return (
    <div>
      <p class="muted">Draw here</p>
      <canvas
        ref={canvas} class="pad" width={SIDE} height={tall} tabIndex={0} data-testid="pad" role="application"
        aria-label="Drawing pad: draw with the pointer, or arrow keys, space to put the pen down and to lift it"
        onPointerDown={(event) => {
          canvas.current!.setPointerCapture(event.pointerId);
          pen.current = { down: true, at: place(event) };
          line(pen.current.at);
        }}
        onPointerMove={(event) => pen.current.down && line(place(event))}
        onPointerUp={done}
        onPointerCancel={done}
        onKeyDown={(event) => drawByKey(event, pen.current, line, done, tall)}
      />
      <button type="button" data-testid="pad-clear" onClick={clear}>Clear</button>
    </div>
  );
}

function drawByKey(event: KeyboardEvent, pen: Pen, line: (to: [number, number]) => void, done: () => void, tall: number): void {
  const moves: Record<string, [number, number]> = { ArrowLeft: [-9, 0], ArrowRight: [9, 0], ArrowUp: [0, -9], ArrowDown: [0, 9] };
  const move = moves[event.key];
  if (move) {
    const to: [number, number] = [
      Math.max(0, Math.min(SIDE, pen.at[0] + move[0])),
      Math.max(0, Math.min(tall, pen.at[1] + move[1])),
    ];
    if (pen.down) line(to);
    else pen.at = to;
  } else if (event.key === " " && pen.down) done();
  else if (event.key === " ") {
    pen.down = true;
    line(pen.at);
  } else return;
  event.preventDefault();
}
