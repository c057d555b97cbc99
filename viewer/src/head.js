// The head of a GLB: its meshes, how they are painted, and the shapes that move them.

import {
  DoubleSide, Mesh, MeshBasicMaterial, MeshNormalMaterial, MeshPhongMaterial, NearestFilter, SkinnedMesh,
  SRGBColorSpace, TextureLoader,
} from "three";

const CLAY = 0xb9b2aa;

export class Head {
  /**
   * @param {object} gltf what GLTFLoader read; scale, names and pieces are taken from it
   * @param {object} maps name -> address of a picture in the layout of the GLB's texture
   */
  constructor(gltf, maps) {
    this.object = gltf.scene;
    this.maps = maps;
    this.meshes = [];
    this.object.traverse((each) => {
      if (each.isMesh) this.meshes.push(each);
    });
    for (const mesh of this.meshes) {
      mesh.frustumCulled = false; // its bounds know nothing of morph targets
      mesh.userData.own = mesh.material;
      // half of what the graphics card is given, and no light falls on the photo's texture: kept until one does
      mesh.userData.normals = mesh.geometry.morphAttributes.normal;
      delete mesh.geometry.morphAttributes.normal;
    }
    this.targets = new Map(); // name -> [[mesh, index], ...]
    for (const mesh of this.meshes) {
      for (const [name, index] of Object.entries(mesh.morphTargetDictionary ?? {})) {
        if (!this.targets.has(name)) this.targets.set(name, []);
        this.targets.get(name).push([mesh, index]);
      }
    }
    this.fitted = this.weights();
    this.looks = new Map();
    this.wires = [];
    this.look = "";
  }

  get names() {
    return [...this.targets.keys()];
  }

  weight(name) {
    const [[mesh, index]] = this.targets.get(name);
    return mesh.morphTargetInfluences[index];
  }

  weights() {
    return new Map(this.names.map((name) => [name, this.weight(name)]));
  }

  setWeight(name, value) {
    for (const [mesh, index] of this.targets.get(name) ?? []) mesh.morphTargetInfluences[index] = value;
  }

  setWeights(values) {
    for (const [name, value] of values) this.setWeight(name, value);
  }

  /** Which looks there are: what the page has no picture for is left out. */
  lookNames() {
    return ["textured", "clay", "albedo", "normals", "parts"].filter(
      (name) => !["albedo", "parts"].includes(name) || this.maps[name],
    );
  }

  async setLook(name) {
    this.look = name;
    if (name !== "textured") this.moveNormals();
    for (const mesh of this.meshes) {
      const material = await this.material(name, mesh);
      if (this.look === name) mesh.material = material;
    }
  }

  /** Shading follows the shapes from now on. */
  moveNormals() {
    for (const { geometry, userData } of this.meshes) {
      if (!userData.normals) continue;
      geometry.morphAttributes.normal = userData.normals;
      geometry.dispose(); // what the card holds of it is made anew
      userData.normals = null;
    }
  }

  async material(name, mesh) {
    const own = mesh.userData.own;
    // one material for all pieces, but where they differ: in their texture, and in the relief of the skin
    const key = name === "textured" || own.normalMap ? `${name} ${own.uuid}` : name;
    if (!this.looks.has(key)) this.looks.set(key, this.make(name, own));
    return this.looks.get(key);
  }

  async make(name, own) {
    const side = DoubleSide;
    const normalMap = own.normalMap ?? null;
    const relief = normalMap ? { normalMap, normalScale: own.normalScale } : {};
    if (name === "clay") return new MeshPhongMaterial({ color: CLAY, specular: 0x303030, shininess: 18, side, ...relief });
    if (name === "normals") return new MeshNormalMaterial({ side, ...relief });
    if (name === "textured") {
      const map = own.map ?? null;
      return new MeshBasicMaterial({ map, vertexColors: own.vertexColors, color: own.color, side });
    }
    const map = await new TextureLoader().loadAsync(this.maps[name]);
    map.flipY = false; // as all textures of glTF
    map.colorSpace = SRGBColorSpace;
    if (name === "parts") map.magFilter = NearestFilter;
    return new MeshPhongMaterial({ map, specular: name === "albedo" ? 0x1c1c1c : 0, shininess: 22, side, ...relief });
  }

  setWireframe(on) {
    if (on && !this.wires.length) {
      const material = new MeshBasicMaterial({ color: 0x12b886, wireframe: true, transparent: true, opacity: 0.28 });
      material.polygonOffset = true;
      material.polygonOffsetFactor = -1;
      for (const mesh of this.meshes) {
        const wire = mesh.isSkinnedMesh ? new SkinnedMesh(mesh.geometry, material) : new Mesh(mesh.geometry, material);
        if (mesh.isSkinnedMesh) wire.bind(mesh.skeleton, mesh.bindMatrix); // it follows the same bones
        wire.morphTargetDictionary = mesh.morphTargetDictionary;
        wire.morphTargetInfluences = mesh.morphTargetInfluences; // the same array: they move together
        wire.frustumCulled = false;
        wire.raycast = () => {};
        mesh.add(wire);
        this.wires.push(wire);
      }
    }
    for (const wire of this.wires) wire.visible = on;
  }
}
