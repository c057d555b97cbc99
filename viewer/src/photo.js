// The photo and the mesh under the photo's own camera. The photo is an element of the page below the canvas.

import { Matrix4, PerspectiveCamera } from "three";

const NEAR = 0.02, FAR = 20; // metres

export class PhotoView {
  /** @param {object} shot src, width, height of a picture, and its camera: fx, fy, cx, cy, R, t (mm) in its pixels */
  constructor(shot, image) {
    this.shot = shot;
    this.image = image;
    this.camera = new PerspectiveCamera();
    this.camera.matrixAutoUpdate = false;
    this.reset();
  }

  reset() {
    this.zoom = 1;
    this.shift = { x: 0, y: 0 }; // of the picture's middle from that of the canvas, in pixels
  }

  show(on) {
    this.image.hidden = !on;
    if (on && this.image.src !== this.shot.src) this.image.src = this.shot.src;
  }

  place(width, height) {
    const { shot } = this;
    const scale = Math.min(width / shot.width, height / shot.height) * this.zoom;
    const left = (width - shot.width * scale) / 2 + this.shift.x;
    const top = (height - shot.height * scale) / 2 + this.shift.y;
    return { scale, left, top };
  }

  apply(width, height) {
    const { fx, fy, cx, cy, R, t } = this.shot.camera;
    const { scale, left, top } = this.place(width, height);
    Object.assign(this.image.style, {
      left: `${left}px`, top: `${top}px`, width: `${this.shot.width * scale}px`, height: `${this.shot.height * scale}px`,
    });
    const x = (pixel) => ((pixel - left) / scale - cx) / fx * NEAR;
    const y = (pixel) => (cy - (pixel - top) / scale) / fy * NEAR;
    const camera = this.camera;
    camera.projectionMatrix.makePerspective(x(0), x(width), y(0), y(height), NEAR, FAR);
    camera.projectionMatrixInverse.copy(camera.projectionMatrix).invert();
    camera.matrix.copy(new Matrix4().set(
      ...R[0], t[0] / 1000, ...R[1], t[1] / 1000, ...R[2], t[2] / 1000, 0, 0, 0, 1,
    ).invert());
    camera.matrixWorldNeedsUpdate = true;
    return camera;
  }

  /** Zoom by a factor, the point x, y of the canvas stays. */
  scaleAt(factor, x, y, width, height) {
    const zoom = Math.min(12, Math.max(0.5, this.zoom * factor)), share = zoom / this.zoom;
    this.shift.x = (x - width / 2) * (1 - share) + this.shift.x * share;
    this.shift.y = (y - height / 2) * (1 - share) + this.shift.y * share;
    this.zoom = zoom;
  }
}

/** Drag, wheel and pinch of whatever view `current()` returns. */
export function movedByHand(canvas, current, changed) {
  const fingers = new Map();
  const box = () => canvas.getBoundingClientRect();
  canvas.addEventListener("wheel", (event) => {
    const view = current();
    if (!view) return;
    event.preventDefault();
    const { left, top, width, height } = box();
    view.scaleAt(Math.exp(-event.deltaY / 500), event.clientX - left, event.clientY - top, width, height);
    changed();
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => fingers.set(event.pointerId, event));
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
    canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  canvas.addEventListener("pointermove", (event) => {
    const view = current(), before = fingers.get(event.pointerId);
    if (!before) return;
    fingers.set(event.pointerId, event);
    if (!view) return;
    const { left, top, width, height } = box();
    const share = 1 / fingers.size;
    view.shift.x += (event.clientX - before.clientX) * share;
    view.shift.y += (event.clientY - before.clientY) * share;
    const other = [...fingers.values()].find((each) => each.pointerId !== event.pointerId);
    if (other) {
      const apart = (from) => Math.hypot(from.clientX - other.clientX, from.clientY - other.clientY);
      view.scaleAt(apart(event) / Math.max(1, apart(before)), other.clientX - left, other.clientY - top, width, height);
    }
    changed();
  });
}
