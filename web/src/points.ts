/** A cloud of points drawn by the graphics card, and by a plain canvas where there is none.
 *
 * Not regl: it compiles its draw calls with `new Function`, which a page without 'unsafe-eval' may not do.
 */

import type { Camera } from "./camera";
import type { Numbers } from "./facts";

const VERTEX = `#version 300 es
in vec2 place; in vec4 colour;
uniform vec2 middle, reach; uniform float size, pass;
out vec4 tint;
void main() {
  bool grey = colour.a < 0.5;
  gl_Position = vec4((place - middle) / reach, 0.0, 1.0);
  if (grey != (pass < 0.5)) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = grey ? size * 0.8 : size;
  tint = vec4(colour.rgb, grey ? 0.35 : 0.85);
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 tint; out vec4 paint;
void main() {
  float far = length(gl_PointCoord - 0.5) * 2.0;
  float alpha = tint.a * (1.0 - smoothstep(0.75, 1.0, far));
  paint = vec4(tint.rgb * alpha, alpha);
}`;

export interface Cloud {
  /** Places (N, 2) and colours (N, 4); alpha under 128 means grey, drawn first and fainter. */
  set(xy: Numbers, colours: Uint8Array): void;
  draw(camera: Camera): void;
  free(): void;
}

/** Radius in CSS pixels: fewer points may be larger. */
export function pointSize(count: number): number {
  return Math.max(2.5, Math.min(9, 260 / Math.sqrt(count + 1)));
}

export function cloud(canvas: HTMLCanvasElement): Cloud {
  const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
  return gl ? drawnByCard(gl) : drawnByHand(canvas);
}

function program(gl: WebGL2RenderingContext): WebGLProgram {
  const made = gl.createProgram();
  for (const [type, text] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(type)!;
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  return made;
}

function drawnByCard(gl: WebGL2RenderingContext): Cloud {
  const made = program(gl);
  const [places, colours] = [gl.createBuffer(), gl.createBuffer()];
  let count = 0;
  const attribute = (name: string, buffer: WebGLBuffer, size: number, type: number): void => {
    const at = gl.getAttribLocation(made, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, type, type === gl.UNSIGNED_BYTE, 0, 0);
  };
  const uniform = (name: string) => gl.getUniformLocation(made, name);
  return {
    set(xy, paint) {
      count = xy.length / 2;
      gl.bindBuffer(gl.ARRAY_BUFFER, places);
      gl.bufferData(gl.ARRAY_BUFFER, xy, gl.STATIC_DRAW);
      gl.bindBuffer(gl.ARRAY_BUFFER, colours);
      gl.bufferData(gl.ARRAY_BUFFER, paint, gl.DYNAMIC_DRAW);
    },
    draw(camera) {
      gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      if (!count) return;
      gl.useProgram(made);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
      attribute("place", places, 2, gl.FLOAT);
      attribute("colour", colours, 4, gl.UNSIGNED_BYTE);
      gl.uniform2f(uniform("middle"), camera.x, camera.y);
      gl.uniform2f(uniform("reach"), camera.width / 2 / camera.scale, camera.height / 2 / camera.scale / camera.stretch);
      gl.uniform1f(uniform("size"), pointSize(count) * (gl.drawingBufferWidth / camera.width));
      for (const pass of [0, 1]) {
        gl.uniform1f(uniform("pass"), pass);
        gl.drawArrays(gl.POINTS, 0, count);
      }
    },
    free: () => gl.getExtension("WEBGL_lose_context")?.loseContext(),
  };
}

function drawnByHand(canvas: HTMLCanvasElement): Cloud {
  const context = canvas.getContext("2d")!;
  let [xy, paint]: [Numbers, Uint8Array] = [new Float32Array(0), new Uint8Array(0)];
  const dots = (camera: Camera, grey: boolean): void => {
    const ratio = canvas.width / camera.width;
    const size = pointSize(xy.length / 2) * ratio * (grey ? 0.8 : 1);
    context.globalAlpha = grey ? 0.35 : 0.85;
    for (let i = 0; i < xy.length / 2; i++) {
      if (paint[4 * i + 3] < 128 !== grey) continue;
      const left = (camera.width / 2 + (xy[2 * i] - camera.x) * camera.scale) * ratio;
      const top = (camera.height / 2 - (xy[2 * i + 1] - camera.y) * camera.scale * camera.stretch) * ratio;
      context.fillStyle = `rgb(${paint[4 * i]} ${paint[4 * i + 1]} ${paint[4 * i + 2]})`;
      context.fillRect(left - size / 2, top - size / 2, size, size);
    }
  };
  return {
    set: (places, colours) => void ([xy, paint] = [places, colours]),
    draw(camera) {
      context.clearRect(0, 0, canvas.width, canvas.height);
      dots(camera, true);
      dots(camera, false);
    },
    free: () => undefined,
  };
}
