// Landmarks and measured distances, carried along by the shapes.

import { BufferAttribute, BufferGeometry, Group, LineBasicMaterial, LineSegments, Points, PointsMaterial } from "three";

export class Marks {
  /**
   * @param {Float32Array} rest (L, 3) mm: on the face without expression
   * @param {Int16Array} moves (T, L, 3) in units of `step` mm: what each shape at 1 does
   * @param {object} about count, names (of the T shapes), step, measures [{name, mm, between: [landmarks, landmarks]}]
   */
  constructor(rest, moves, about, head) {
    Object.assign(this, { rest, moves, about, head });
    this.at = new Float32Array(rest);
    this.group = new Group();
    this.group.scale.setScalar(0.001); // metres, whatever unit the buffers of the GLB have
    this.attribute = new BufferAttribute(this.at, 3);
    const geometry = new BufferGeometry().setAttribute("position", this.attribute);
    const look = { sizeAttenuation: false, depthTest: false, transparent: true };
    this.points = new Points(geometry, new PointsMaterial({ color: 0x12b886, size: 3.5, ...look }));
    this.measured = about.measures.flatMap((measure) => measure.between);
    this.lineAttribute = new BufferAttribute(new Float32Array(this.measured.length * 3), 3);
    const lines = new BufferGeometry().setAttribute("position", this.lineAttribute);
    this.lines = new LineSegments(lines, new LineBasicMaterial({ color: 0xf08c00, depthTest: false, transparent: true }));
    for (const each of [this.points, this.lines]) {
      each.visible = false;
      each.frustumCulled = false;
      each.renderOrder = 2;
      this.group.add(each);
    }
  }

  update() {
    if (!this.points.visible && !this.lines.visible) return;
    const { rest, moves, at, about, head } = this;
    at.set(rest);
    about.names.forEach((name, shape) => {
      const weight = head.targets.has(name) ? head.weight(name) * about.step : 0;
      if (!weight) return;
      const start = shape * rest.length;
      for (let i = 0; i < rest.length; i++) at[i] += weight * moves[start + i];
    });
    this.attribute.needsUpdate = true;
    this.measured.forEach((landmarks, i) => {
      const mean = (axis) => landmarks.reduce((sum, each) => sum + at[3 * each + axis], 0) / landmarks.length;
      this.lineAttribute.setXYZ(i, mean(0), mean(1), mean(2));
    });
    this.lineAttribute.needsUpdate = true;
  }
}
