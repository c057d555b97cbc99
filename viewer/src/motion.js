// What moves by itself: the demos of a still face, and the animation of a sequence.

import { AnimationMixer, LoopRepeat, Quaternion, Vector3 } from "three";

const hump = (time, start, end) =>
  time <= start || time >= end ? 0 : Math.sin((Math.PI * (time - start)) / (end - start)) ** 2;

const both = (stem, value) => ({ [`${stem}Left`]: value, [`${stem}Right`]: value });

// Seconds -> weights. The names are ARKit's; a model without them has no such demo.
const DEMOS = {
  blink: {
    seconds: 1.6,
    at: (time) => both("eyeBlink", Math.max(hump(time, 0.1, 0.55), hump(time, 0.8, 1.25))),
  },
  talk: {
    seconds: 3.2,
    at: (time) => {
      const open = 0.5 * hump(time, 0.1, 0.6) + 0.3 * hump(time, 0.65, 1.0) + 0.6 * hump(time, 1.3, 1.9)
        + 0.35 * hump(time, 2.2, 2.6);
      return {
        jawOpen: open,
        mouthFunnel: 0.7 * hump(time, 0.8, 1.4),
        mouthPucker: 0.6 * hump(time, 1.8, 2.3),
        ...both("mouthSmile", 0.5 * hump(time, 2.4, 3.1)),
        ...both("mouthLowerDown", 0.4 * open),
        ...both("eyeBlink", hump(time, 1.45, 1.75)),
      };
    },
  },
};

export function demosOf(head) {
  return Object.keys(DEMOS).filter((name) => Object.keys(DEMOS[name].at(0)).every((each) => head.targets.has(each)));
}

export class Demo {
  constructor(head) {
    this.head = head;
    this.name = "";
  }

  /** Start, or stop where it runs: the weights it found come back. */
  toggle(name) {
    const running = this.name;
    this.stop();
    if (running === name) return;
    this.name = name;
    this.time = 0;
    this.before = this.head.weights();
  }

  stop() {
    if (!this.name) return;
    this.head.setWeights(this.before);
    this.name = "";
  }

  step(seconds) {
    if (!this.name) return false;
    this.time += seconds;
    const demo = DEMOS[this.name];
    if (this.time >= demo.seconds) {
      this.stop();
      return false;
    }
    for (const [name, value] of Object.entries(demo.at(this.time))) {
      this.head.setWeight(name, Math.max(value, this.before.get(name) * (1 - value)));
    }
    return true;
  }
}

export class Film {
  /** The first animation of a GLB. */
  constructor(gltf) {
    this.mixer = new AnimationMixer(gltf.scene);
    [this.clip] = gltf.animations;
    this.action = this.mixer.clipAction(this.clip).setLoop(LoopRepeat, Infinity).play();
    this.node = gltf.scene.getObjectByName(this.clip.tracks[0].name.split(".")[0]) ?? gltf.scene;
    this.playing = false;
    this.held = false;
    this.speed = 1;
    this.seek(0);
    this.still = { position: this.node.position.clone(), quaternion: this.node.quaternion.clone() };
  }

  get seconds() {
    return this.clip.duration;
  }

  get time() {
    return this.action.time;
  }

  seek(time) {
    this.action.time = time;
    this.mixer.update(0);
    this.hold();
  }

  step(seconds) {
    if (!this.playing) return false;
    this.mixer.update(seconds * this.speed);
    this.hold();
    return true;
  }

  /** A head that is held moves its face alone. */
  hold() {
    if (!this.held) return;
    this.node.position.copy(this.still.position ?? new Vector3());
    this.node.quaternion.copy(this.still.quaternion ?? new Quaternion());
  }
}
