/** One item on the page, whatever its form: pixels on a canvas, cells as a table, text as text. */

import { useLayoutEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";
import { toBytes } from "./base64";
import type { Reading, Shown } from "./facts";
import { itemOf } from "./items";
import { run } from "./state";

/** Pixels (H, W, C) as RGBA. */
export function rgba(pixels: Uint8Array, [height, width, channels]: number[]): ImageData {
  const image = new ImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = pixels[i * channels + (channels >= 3 ? c : 0)];
    image.data[4 * i + 3] = channels === 4 ? pixels[i * channels + 3] : 255;
  }
  return image;
}

function Picture({ shape, pixels, label }: { shape: number[]; pixels: string; label: string }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    canvas.current?.getContext("2d")?.putImageData(rgba(toBytes(pixels), shape), 0, 0);
  }, [pixels, shape.join()]);
  return <canvas ref={canvas} class="picture" width={shape[1]} height={shape[0]} role="img" aria-label={label} />;
}

/** An empty cell is a missing value. */
export const words = (cell = ""): string => cell || "missing";

function Cells({ cells, names, label }: { cells: string[]; names: string[]; label: string }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table class="cells">
        <tbody>
          {cells.map((cell, i) => (
            <tr key={i}>
              <th scope="row">{names[i] ?? `${i + 1}`}</th>
              <td title={cell}>{words(cell)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function columnNames(reading: Reading | undefined): string[] {
  return reading?.form === "cells" ? reading.columns.map((column) => column.name) : [];
}

export function partReading(reading: Reading | undefined, name: string): Reading | undefined {
  return reading?.form === "parts" ? reading.parts.find((part) => part.name === name)?.reading : undefined;
}

export interface ItemProps {
  shown: Shown;
  label: string;
  reading?: Reading;
}

export function Item({ shown, label, reading = run.value?.facts.reading }: ItemProps): JSX.Element {
  if ("image" in shown) return <Picture {...shown.image} label={label} />;
  if ("cells" in shown) return <Cells cells={shown.cells} names={columnNames(reading)} label={label} />;
  if ("text" in shown) return <p class="said-text" aria-label={label}>{shown.text}</p>;
  return (
    <div class="parts">
      {shown.parts.map((part) => (
        <figure key={part.name} class="part">
          <Item shown={part.shown} label={`${label}, ${part.name}`} reading={partReading(reading, part.name)} />
          <figcaption>{part.name}</figcaption>
        </figure>
      ))}
    </div>
  );
}

/** A small picture of an item that the page has. */
export function Thumbnail({ index }: { index: number }): JSX.Element | null {
  const shown = itemOf(run.value!, index);
  return shown && <div class="thumbnail"><Item shown={shown} label={`item ${index}`} /></div>;
}
