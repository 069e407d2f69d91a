/** A filmstrip as a file: animated GIF or WebP. */

import type { Reading, Shown } from "./facts";
import { frameOf, level } from "./frames";
import { gif } from "./gif";
import { animated } from "./webp";

const PACE = 160; // milliseconds a frame

/** There and back again, so that the film has no jump. */
function thereAndBack<One>(frames: One[]): One[] {
  return [...frames, ...frames.slice(1, -1).reverse()];
}

export function gifOf(items: Shown[], reading: Reading): Blob {
  const canvases = level(items.map((item) => frameOf(item, reading)));
  const frames = canvases.map((canvas) => canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height));
  return new Blob([gif(thereAndBack(frames), PACE) as Uint8Array<ArrayBuffer>], { type: "image/gif" });
}

export async function webpOf(items: Shown[], reading: Reading): Promise<Blob> {
  const canvases = level(items.map((item) => frameOf(item, reading)));
  const stills = await Promise.all(canvases.map(still));
  const [{ width, height }] = canvases;
  return new Blob([animated(thereAndBack(stills), width, height, PACE)], { type: "image/webp" });
}

async function still(canvas: HTMLCanvasElement): Promise<Uint8Array> {
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/webp", 1));
  if (blob?.type !== "image/webp") throw new Error("This browser cannot write WebP: take the GIF instead.");
  return new Uint8Array(await blob.arrayBuffer());
}
