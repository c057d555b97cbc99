// A page of facefit: one head, its photo, and what can be done with it.

import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { Head } from "./head.js";
import { Marks } from "./marks.js";
import { Demo, Film, demosOf } from "./motion.js";
import { Shapes, choice, find, keys, legend, lightField, rows, theme, toggle } from "./panel.js";
import { bytes, json, taken } from "./payload.js";
import { PhotoView, movedByHand } from "./photo.js";
import { Stage, boxOf } from "./stage.js";

async function open() {
  const about = json("about");
  theme();
  const unpacking = bytes(taken("glb")); // beside the start of the graphics card
  const stage = new Stage(find("canvas"));
  const glb = await unpacking;
  const gltf = await new GLTFLoader().parseAsync(glb, "");
  const head = new Head(gltf, about.maps);
  stage.root.add(head.object);
  const app = { about, stage, head, film: gltf.animations.length ? new Film(gltf) : null };
  await head.setLook("textured");
  stage.resize();
  stage.frame(boxOf(head.object));
  stage.controls.addEventListener("start", () => (stage.touched = true));
  stage.frameNow(performance.now());
  stage.renderer.getContext().finish();
  find("wait").hidden = true;
  app.firstPicture = performance.now(); // ms since the page was asked for
  app.marks = await marks(app);
  controls(app, glb);
  if (app.film) film(app);
  stage.draw();
  document.body.dataset.ready = "true";
  return app;
}

async function marks({ about, head, film: moving, stage }) {
  if (!about.landmarks) return null;
  const { rest, moves, ...landmarks } = about.landmarks;
  const made = new Marks(
    new Float32Array(await bytes(rest)), new Int16Array(await bytes(moves)), { ...landmarks, measures: about.measures },
    head,
  );
  if (moving) {
    stage.animated.add(() => { // landmarks are in the head's own coordinates
      made.group.position.copy(moving.node.position);
      made.group.quaternion.copy(moving.node.quaternion);
      return false;
    });
  }
  stage.scene.add(made.group);
  stage.animated.add(() => {
    made.update();
    return false;
  });
  return made;
}

function controls(app, glb) {
  const { about, stage, head, marks: shown } = app;
  const draw = () => stage.draw();

  const looks = head.lookNames();
  const press = choice("looks", looks, (name) => app.look(name));
  app.look = async (name) => {
    press(name);
    find("legend").hidden = name !== "parts";
    await head.setLook(name);
    draw();
  };
  press(head.look);
  legend(about.parts);

  const wireframe = toggle("wireframe", (on) => {
    head.setWireframe(on);
    draw();
  });
  const landmarks = toggle("landmarks", (on) => {
    shown.points.visible = on;
    draw();
  });
  const measures = toggle("measures", (on) => {
    shown.lines.visible = on;
    draw();
  });
  for (const id of ["landmarks", "measures"]) find(id).hidden = !shown;
  rows("numbers", about.numbers);
  rows("distances", about.measures.map(({ name, mm }) => [name, `${mm.toFixed(1)} mm`]));
  find("distances-block").hidden = !about.measures.length;

  const demo = new Demo(head);
  const expressions = head.names.filter((name) => about.shapes.includes(name));
  const shapes = new Shapes(expressions, about.range, (name, value) => {
    demo.stop();
    head.setWeight(name, value);
    draw();
  });
  const setAll = (weights) => {
    demo.stop();
    head.setWeights(weights);
    shapes.show(head.weights());
    draw();
  };
  app.shapes = shapes;
  app.setWeights = setAll;
  app.setWeight = (name, value) => {
    head.setWeight(name, value);
    shapes.show(head.weights());
    draw();
  };
  shapes.show(head.weights());
  find("shapes-block").hidden = !expressions.length;
  find("fitted").addEventListener("click", () => setAll(head.fitted));
  find("neutral").addEventListener("click", () => setAll(new Map(expressions.map((name) => [name, 0]))));

  stage.animated.add((seconds) => {
    const was = demo.name, running = demo.step(seconds);
    if (was) shapes.show(head.weights());
    if (was && !running) pressDemo("");
    return running;
  });
  const pressDemo = choice("demos", app.film ? [] : demosOf(head), (name) => {
    demo.toggle(name);
    pressDemo(demo.name);
    draw();
  });

  lightField((x, y) => stage.setLight(x, y, Number(find("strength").value)));
  find("strength").addEventListener("input", (event) => {
    const { x, y } = stage.lightAt;
    stage.setLight(x, y, Number(event.target.value));
  });

  const photo = photoControls(app);
  const reset = () => {
    photo.set(-1);
    stage.touched = false;
    stage.frame(stage.home.box, stage.home.direction);
    if (!app.film) setAll(head.fitted);
  };
  find("reset").addEventListener("click", reset);
  find("download").addEventListener("click", () => save(glb, about.file));
  find("fold").addEventListener("click", () => {
    const folded = document.body.classList.toggle("folded");
    find("fold").setAttribute("aria-expanded", String(!folded));
  });

  const orbit = (right, up) => () => {
    photo.set(-1);
    stage.turn(right, up);
  };
  keys({
    ...Object.fromEntries(looks.map((name, i) => [String(i + 1), () => app.look(name)])),
    w: wireframe.toggle,
    ...(shown ? { l: landmarks.toggle, m: measures.toggle } : {}),
    p: photo.next,
    r: reset,
    b: () => find("demos").querySelector("[data-name=blink]")?.click(),
    t: () => find("demos").querySelector("[data-name=talk]")?.click(),
    " ": () => find("play").click(),
    ArrowLeft: orbit(-0.12, 0), ArrowRight: orbit(0.12, 0), ArrowUp: orbit(0, 0.12), ArrowDown: orbit(0, -0.12),
    "+": () => stage.zoom(0.9), "=": () => stage.zoom(0.9), "-": () => stage.zoom(1 / 0.9),
  });
}

/** Buttons for the photos, and the slider between photo and mesh. */
function photoControls(app) {
  const { about, stage } = app;
  const image = find("photo"), canvas = find("canvas");
  const views = about.photos.map((shot) => new PhotoView(shot, image));
  let now = -1;
  const names = about.photos.map((shot, i) => (views.length > 1 ? shot.name : "photo") || `photo ${i + 1}`);
  const fade = () => {
    canvas.style.opacity = stage.view ? find("fade").value : "1";
  };
  const set = (index) => {
    now = index;
    views.forEach((view) => view.show(false));
    stage.view = views[index] ?? null;
    stage.controls.enabled = !stage.view;
    if (stage.view) {
      stage.view.reset();
      stage.view.show(true);
      const { weights } = about.photos[index];
      if (weights) app.setWeights(new Map(Object.entries(weights)));
    }
    find("fade-row").hidden = !stage.view;
    press(stage.view ? names[index] : "orbit");
    fade();
    stage.draw();
  };
  const press = choice("photos", ["orbit", ...names], (name) => set(names.indexOf(name)));
  press("orbit");
  find("photo-block").hidden = !views.length;
  find("fade").addEventListener("input", fade);
  movedByHand(canvas, () => stage.view, () => stage.draw());
  return { set, next: () => set(now + 1 < views.length ? now + 1 : -1) };
}

/** Play, pause and the place in a sequence. */
function film(app) {
  const { film: moving, stage, head, shapes } = app;
  const slider = find("time"), play = find("play");
  find("film").hidden = false;
  slider.max = moving.seconds;
  const show = () => {
    slider.value = moving.time;
    find("clock").textContent = `${moving.time.toFixed(2)} / ${moving.seconds.toFixed(2)} s`;
    shapes.show(head.weights());
  };
  stage.animated.add((seconds) => {
    const again = moving.step(seconds);
    if (again) show();
    return again;
  });
  play.addEventListener("click", () => {
    moving.playing = !moving.playing;
    play.textContent = moving.playing ? "pause" : "play";
    stage.draw();
  });
  slider.addEventListener("input", () => {
    moving.seek(Number(slider.value));
    show();
    stage.draw();
  });
  find("speed").addEventListener("change", (event) => (moving.speed = Number(event.target.value)));
  toggle("hold", (on) => {
    moving.held = on;
    moving.seek(moving.time);
    stage.draw();
  });
  show();
}

function save(data, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([data], { type: "model/gltf-binary" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

open().then(
  (app) => (window.facefit = app),
  (error) => {
    find("wait").textContent = `This page cannot be shown: ${error.message ?? error}`;
    console.error(error);
  },
);
