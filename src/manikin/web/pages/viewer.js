"use strict";
// Shows one image on a canvas: zoom, pan, window and level. Knows no reader and no answer.
class Viewer {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.smooth = true;
    this.pointers = new Map();
    this.source = null;
    this.reset();
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("wheel", (e) => { e.preventDefault(); this.zoomBy(Math.exp(-e.deltaY * 0.0016), this.at(e)); }, { passive: false });
    canvas.addEventListener("contextmenu", (e) => e.preventDefault());
    canvas.addEventListener("dblclick", () => this.fit());
    canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); this.pointers.set(e.pointerId, this.at(e)); });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (e) => this.pointers.delete(e.pointerId));
    canvas.addEventListener("pointermove", (e) => this.move(e));
  }
  reset() { this.level = 128; this.width = 255; this.fit(); }
  fit() { this.zoom = 1; this.x = 0; this.y = 0; this.draw(); }
  at(e) { const box = this.canvas.getBoundingClientRect(); return { x: e.clientX - box.left - box.width / 2, y: e.clientY - box.top - box.height / 2 }; }
  move(e) {
    const before = this.pointers.get(e.pointerId);
    if (!before) return;
    const now = this.at(e), dx = now.x - before.x, dy = now.y - before.y;
    if (this.pointers.size === 2) {
      const other = [...this.pointers.entries()].find(([id]) => id !== e.pointerId)[1];
      const ratio = Math.hypot(now.x - other.x, now.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
      this.zoomBy(ratio, { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
      this.x += dx / 2; this.y += dy / 2;
    } else if (e.buttons & 2 || e.shiftKey) {
      this.setWindow(this.level - dy * 0.6, this.width + dx * 1.2);
    } else { this.x += dx; this.y += dy; }
    this.pointers.set(e.pointerId, now);
    this.draw();
  }
  zoomBy(ratio, point = { x: 0, y: 0 }) {
    const zoom = Math.min(40, Math.max(0.25, this.zoom * ratio)), factor = zoom / this.zoom;
    this.x = point.x - (point.x - this.x) * factor;
    this.y = point.y - (point.y - this.y) * factor;
    this.zoom = zoom;
    this.draw();
  }
  setWindow(level, width) {
    this.level = Math.min(255, Math.max(0, level));
    this.width = Math.min(510, Math.max(2, width));
    this.apply();
    this.draw();
  }
  async show(blob) {
    const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
    const raw = document.createElement("canvas");
    raw.width = bitmap.width; raw.height = bitmap.height;
    const context = raw.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    this.pixels = context.getImageData(0, 0, raw.width, raw.height);
    this.source = raw;
    this.reset();
    this.apply();
    this.draw();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  }
  clear() { this.source = null; this.draw(); }
  apply() {
    if (!this.source) return;
    const table = new Uint8ClampedArray(256);
    for (let v = 0; v < 256; v++) table[v] = this.width === 255 && this.level === 128 ? v : ((v - this.level) / this.width + 0.5) * 255;
    const made = new ImageData(this.pixels.width, this.pixels.height), from = this.pixels.data, to = made.data;
    for (let i = 0; i < from.length; i += 4) { to[i] = table[from[i]]; to[i + 1] = table[from[i + 1]]; to[i + 2] = table[from[i + 2]]; to[i + 3] = 255; }
    this.source.getContext("2d").putImageData(made, 0, 0);
  }
  draw() {
    const ratio = window.devicePixelRatio || 1, w = this.canvas.clientWidth, h = this.canvas.clientHeight;
    if (this.canvas.width !== Math.round(w * ratio) || this.canvas.height !== Math.round(h * ratio)) {
      this.canvas.width = Math.round(w * ratio); this.canvas.height = Math.round(h * ratio);
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, w, h);
    if (this.source && w && h) {
      const scale = Math.min((w - 24) / this.source.width, (h - 24) / this.source.height) * this.zoom;
      context.imageSmoothingEnabled = this.smooth;
      context.imageSmoothingQuality = "high";
      context.drawImage(this.source, w / 2 + this.x - this.source.width * scale / 2, h / 2 + this.y - this.source.height * scale / 2,
        this.source.width * scale, this.source.height * scale);
    }
    this.changed(this);
  }
}
