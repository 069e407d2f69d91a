/** Frames as an animated GIF. */

import { applyPalette, GIFEncoder, quantize } from "gifenc";

export interface Frame {
  width: number;
  height: number;
  data: Uint8ClampedArray | Uint8Array;
}

export function gif(frames: Frame[], milliseconds: number): Uint8Array {
  const encoder = GIFEncoder();
  for (const { width, height, data } of frames) {
    const palette = quantize(data, 256);
    encoder.writeFrame(applyPalette(data, palette), width, height, { palette, delay: milliseconds, repeat: 0 });
  }
  encoder.finish();
  return encoder.bytes();
}
