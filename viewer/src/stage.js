// Renderer, camera and light. Nothing is drawn unless something has changed.

import {
  Box3, Color, DirectionalLight, Group, HemisphereLight, PerspectiveCamera, Scene, Vector3, WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

const FIELD = 24; // degrees: a portrait lens

export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    this.renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true });
    this.renderer.setClearColor(new Color(0), 0); // the page's own background is seen
    this.scene = new Scene();
    this.root = new Group();
    this.scene.add(this.root);
    this.camera = new PerspectiveCamera(FIELD, 1, 0.02, 20);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.addEventListener("change", () => this.draw());
    this.controls.enablePan = true;
    this.controls.rotateSpeed = 0.8;
    this.controls.minDistance = 0.12;
    this.controls.maxDistance = 6;
    this.light = new DirectionalLight(0xffffff, 1.9);
    this.sky = new HemisphereLight(0xffffff, 0xb0a8a0, 1.6);
    this.scene.add(this.sky, this.light, this.light.target);
    this.view = null; // another view than the orbit: an object with `apply(width, height) -> camera`
    this.animated = new Set(); // called with seconds before each frame; true: once more
    this.before = null;
    this.pending = false;
    this.pictures = 0;
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  /** The head fills the picture, seen from the front. */
  frame(box, direction = new Vector3(0, 0, 1)) {
    this.home = { box: box.clone(), direction: direction.clone() };
    const centre = box.getCenter(new Vector3());
    const size = box.getSize(new Vector3());
    const half = Math.tan((FIELD * Math.PI) / 360);
    const aspect = Math.min(1, this.camera.aspect);
    const distance = Math.max(size.y / 2 / half, size.x / 2 / half / aspect) * 1.08 + size.z / 2;
    this.controls.target.copy(centre);
    this.camera.position.copy(centre).addScaledVector(direction.clone().normalize(), distance);
    this.camera.up.set(0, 1, 0);
    this.controls.update();
    this.draw();
  }

  /** Turn around the head: radians to the right and up. */
  turn(right, up) {
    const offset = this.camera.position.clone().sub(this.controls.target);
    const radius = offset.length();
    const azimuth = Math.atan2(offset.x, offset.z) + right;
    const polar = Math.min(3.1, Math.max(0.04, Math.acos(offset.y / radius) - up));
    offset.set(Math.sin(polar) * Math.sin(azimuth), Math.cos(polar), Math.sin(polar) * Math.cos(azimuth));
    this.camera.position.copy(this.controls.target).addScaledVector(offset, radius);
    this.controls.update();
    this.draw();
  }

  /** Nearer (factor below 1) or farther. */
  zoom(factor) {
    const offset = this.camera.position.clone().sub(this.controls.target).multiplyScalar(factor);
    this.camera.position.copy(this.controls.target).add(offset);
    this.controls.update();
    this.draw();
  }

  /** Light from x (right), y (up) in [-1, 1], as the viewer sees it; it moves with the camera. */
  setLight(x, y, strength = 1) {
    this.lightAt = { x, y, strength };
    this.light.intensity = 1.9 * strength;
    this.draw();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    this.renderer.setPixelRatio(Math.min(2, devicePixelRatio));
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    if (this.home && !this.touched) this.frame(this.home.box, this.home.direction);
    this.draw();
  }

  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame((now) => this.frameNow(now));
  }

  frameNow(now) {
    this.pending = false;
    const seconds = this.before === null ? 0 : Math.min(0.1, (now - this.before) / 1000);
    let again = false;
    for (const step of this.animated) again = step(seconds) || again;
    this.before = again ? now : null;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const camera = this.view ? this.view.apply(width, height) : this.camera;
    this.placeLight(camera);
    this.renderer.render(this.scene, camera);
    this.pictures += 1;
    if (again) this.draw();
  }

  placeLight(camera) {
    const { x, y } = this.lightAt ?? { x: -0.35, y: 0.45 };
    const z = Math.sqrt(Math.max(0.02, 1 - Math.min(1, x * x + y * y)));
    camera.updateMatrixWorld();
    const direction = new Vector3(x, y, z).transformDirection(camera.matrixWorld);
    this.light.target.position.copy(this.controls.target);
    this.light.position.copy(this.controls.target).addScaledVector(direction, 5);
    this.light.target.updateMatrixWorld();
  }
}

/** The box around the meshes of an object at rest: three's own looks at every morph target of every vertex. */
export function boxOf(object) {
  const box = new Box3(), point = new Vector3();
  object.updateMatrixWorld(true);
  object.traverse((mesh) => {
    if (!mesh.isMesh) return;
    const positions = mesh.geometry.attributes.position;
    for (let i = 0; i < positions.count; i++) {
      box.expandByPoint(point.fromBufferAttribute(positions, i).applyMatrix4(mesh.matrixWorld));
    }
  });
  return box;
}
