/** A picture of any size as bytes (H, W, C): cut to the middle, made smaller evenly. */

import { toText } from "./base64";
import type { Given } from "./facts";
import { SourceError } from "./source";

type Shape = [number, number, number];

/** RGBA as the channels that the model sees; grey is Rec. 601 luma, and what is clear is black. */
export function channelsOf(rgba: Uint8ClampedArray, [height, width, channels]: Shape): Uint8Array {
  const pixels = new Uint8Array(height * width * channels);
  for (let i = 0; i < height * width; i++) {
    const [r, g, b, a] = rgba.subarray(4 * i, 4 * i + 4);
    const opaque = channels === 4 ? 1 : a / 255;
    const grey = opaque * (0.299 * r + 0.587 * g + 0.114 * b);
    const all = channels <= 2 ? [grey, a] : [opaque * r, opaque * g, opaque * b, a];
    for (let c = 0; c < channels; c++) pixels[i * channels + c] = Math.round(all[c]);
  }
  return pixels;
}

export function givenOf(drawing: CanvasImageSource, size: { width: number; height: number }, shape: Shape): Given {
  const [height, width] = shape;
  const canvas = halved(drawing, size, width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  const { data } = context.getImageData(0, 0, width, height);
  return { image: { shape, pixels: toText(channelsOf(data, shape)) } };
}

/** The middle of the picture in the wanted proportions, halved until it is small enough: each pixel a mean of many. */
function halved(drawing: CanvasImageSource, size: { width: number; height: number }, width: number, height: number): HTMLCanvasElement {
  const scale = Math.min(size.width / width, size.height / height);
  const [wide, tall] = [width * scale, height * scale];
  const times = Math.max(0, Math.floor(Math.log2(scale)));
  let canvas = drawn(drawing, [(size.width - wide) / 2, (size.height - tall) / 2, wide, tall], width * 2 ** times, height * 2 ** times);
  for (let left = times - 1; left >= 0; left--)
    canvas = drawn(canvas, [0, 0, canvas.width, canvas.height], width * 2 ** left, height * 2 ** left);
  return canvas;
}

function drawn(drawing: CanvasImageSource, from: number[], width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(width), Math.round(height)];
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(drawing, from[0], from[1], from[2], from[3], 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** A file that someone dropped, as the model would see it. */
export async function fromFile(file: Blob, shape: Shape): Promise<Given> {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => {
    throw new SourceError("this file is not a picture that the browser can read.", "", "Take a PNG, JPEG or WebP.");
  });
  const given = givenOf(bitmap, bitmap, shape);
  bitmap.close();
  return given;
}

/** Whether the items' edges are dark, so that one draws with light ink. */
export function darkEdges(pixels: ArrayLike<number>, [height, width, channels]: Shape, items: number): boolean {
  let [sum, count] = [0, 0];
  const size = height * width * channels;
  for (let item = 0; item < items; item++)
    for (let row = 0; row < height; row++)
      for (const column of row === 0 || row === height - 1 ? Array(width).keys() : [0, width - 1]) {
        sum += pixels[item * size + (row * width + column) * channels];
        count++;
      }
  return count > 0 && sum / count < 128;
}
