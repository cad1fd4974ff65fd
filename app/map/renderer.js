// Points on a canvas: by WebGL, or one rectangle each where the browser has none.
//
// Both have place(array), paint(colours, looks, order), draw(camera, style) and release(). A colour is
// four bytes. A look is four: how much it stands out (0 dimmed, 1 plain, 2 ringed as found, 3 as
// chosen), its shape (0 disc, 1 half, 2 circle, 3 cross), whether it is large, and nothing. `order` lists
// the points as they are drawn, the lowest first.

const VERTEX = `
attribute vec2 place; attribute vec4 colour; attribute vec4 look;
uniform vec4 view; uniform float size; uniform vec3 found; uniform vec3 chosen;
varying vec4 fill; varying vec3 ring; varying vec3 kind; // emphasis, shape, pixels
void main() {
  float pixels = size * (look.x > 1.5 ? 1.9 : look.z > 0.5 ? 1.7 : 1.0);
  gl_Position = vec4((place - view.xy) * view.zw, 0.0, 1.0);
  gl_PointSize = pixels;
  fill = colour; ring = look.x > 2.5 ? chosen : found; kind = vec3(look.x, look.y, pixels);
}`;
const FRAGMENT = `
precision mediump float;
varying vec4 fill; varying vec3 ring; varying vec3 kind;
uniform float strength; uniform float faint;
void main() {
  vec2 from = gl_PointCoord * 2.0 - 1.0;
  float far = length(from);
  float soft = 2.0 / kind.z;
  bool isRinged = kind.x > 1.5;
  float edge = isRinged ? 0.62 : 1.0 - soft * 0.5;
  float inside = 1.0 - smoothstep(edge - soft, edge, far);
  if (kind.y > 2.5) {
    float arm = min(abs(from.x - from.y), abs(from.x + from.y));
    inside *= 1.0 - smoothstep(0.3, 0.3 + soft, arm);
  } else if (kind.y > 1.5) inside *= smoothstep(edge * 0.4, edge * 0.4 + soft, far);
  else if (kind.y > 0.5 && from.x > 0.0) inside *= smoothstep(edge * 0.5, edge * 0.5 + soft, far);
  float around = isRinged ? smoothstep(0.66, 0.66 + soft, far) * (1.0 - smoothstep(1.0 - soft, 1.0, far)) : 0.0;
  float alpha = inside * fill.a * (kind.x < 0.5 ? faint : isRinged ? 1.0 : strength);
  vec3 mixed = mix(fill.rgb, ring, around);
  float covered = max(alpha, around);
  if (covered < 0.01) discard;
  gl_FragColor = vec4(mixed * covered, covered);
}`;

function renderer(canvas) {
  return webgl(canvas) ?? flat(canvas);
}

function webgl(canvas) {
  const gl = canvas.getContext("webgl", { antialias: false, premultipliedAlpha: true });
  if (!gl?.getExtension("OES_element_index_uint")) return null;
  let program, buffers, uniforms;
  const kept = {};
  const setUp = () => {
    program = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    buffers = {};
    uniforms = {};
    for (const name of ["view", "size", "found", "chosen", "strength", "faint"]) {
      uniforms[name] = gl.getUniformLocation(program, name);
    }
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    for (const [name, array] of Object.entries(kept)) fill(name, array);
  };
  const fill = (name, array) => {
    kept[name] = array;
    if (gl.isContextLost()) return;
    buffers[name] ??= gl.createBuffer();
    const target = name === "order" ? gl.ELEMENT_ARRAY_BUFFER : gl.ARRAY_BUFFER;
    gl.bindBuffer(target, buffers[name]);
    gl.bufferData(target, array, gl.STATIC_DRAW);
    if (name === "order") return;
    const at = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(at);
    if (name === "place") gl.vertexAttribPointer(at, 2, gl.FLOAT, false, 0, 0);
    else gl.vertexAttribPointer(at, 4, gl.UNSIGNED_BYTE, name === "colour", 0, 0);
  };
  setUp();
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextrestored", () => {
    setUp();
    canvas.dispatchEvent(new Event("restored"));
  });
  return {
    isSlow: false,
    place: (array) => fill("place", array),
    paint(colours, looks, order) {
      fill("colour", colours);
      fill("look", looks);
      fill("order", order);
    },
    draw(camera, style) {
      const { width, height } = canvas;
      gl.viewport(0, 0, width, height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.uniform4f(uniforms.view, camera.x, camera.y, (2 * camera.scale) / camera.width, (2 * camera.scale) / camera.height);
      gl.uniform1f(uniforms.size, style.size * devicePixelRatio);
      gl.uniform1f(uniforms.strength, style.strength);
      gl.uniform1f(uniforms.faint, style.faint);
      gl.uniform3fv(uniforms.found, style.found.map((one) => one / 255));
      gl.uniform3fv(uniforms.chosen, style.chosen.map((one) => one / 255));
      gl.drawElements(gl.POINTS, kept.order.length, gl.UNSIGNED_INT, 0);
    },
    release: () => gl.getExtension("WEBGL_lose_context")?.loseContext(), // a page may have 16
  };
}

function flat(canvas) {
  const context = canvas.getContext("2d");
  let places, colours, looks, order;
  return {
    isSlow: true,
    place: (array) => (places = array),
    paint: (...some) => ([colours, looks, order] = some),
    draw(camera, style) {
      context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
      context.clearRect(0, 0, camera.width, camera.height);
      for (const at of order) {
        const look = looks[4 * at];
        const x = (places[2 * at] - camera.x) * camera.scale + camera.width / 2;
        const y = camera.height / 2 - (places[2 * at + 1] - camera.y) * camera.scale;
        if (x < 0 || y < 0 || x > camera.width || y > camera.height) continue;
        if (look > 1) {
          context.globalAlpha = 1;
          context.fillStyle = `rgb(${look > 2 ? style.chosen : style.found})`;
          context.fillRect(x - style.size, y - style.size, 2 * style.size, 2 * style.size);
        }
        context.globalAlpha = look === 0 ? style.faint : look > 1 ? 1 : style.strength;
        context.fillStyle = `rgb(${colours[4 * at]} ${colours[4 * at + 1]} ${colours[4 * at + 2]})`;
        context.fillRect(x - style.size / 2, y - style.size / 2, style.size, style.size);
      }
    },
    release: () => {},
  };
}
