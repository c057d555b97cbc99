// What three.js makes of GLB files: node three_look.mjs NODE_MODULES FILE...
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules, ...files] = process.argv.slice(2);
const from = (name) => import(pathToFileURL(`${modules}/three/${name}`));
globalThis.self = globalThis;
globalThis.createImageBitmap = async (blob) => ({ width: 1, height: 1, bytes: blob.size, close() {} }); // no pictures here
const THREE = await from("build/three.module.js");
const { GLTFLoader } = await from("examples/jsm/loaders/GLTFLoader.js");

for (const file of files) {
  const data = readFileSync(file);
  const gltf = await new GLTFLoader().parseAsync(data.buffer.slice(data.byteOffset, data.byteOffset + data.length), "");
  gltf.scene.updateMatrixWorld(true);
  const box = new THREE.Box3();
  const meshes = [];
  gltf.scene.traverse((each) => {
    if (!each.isMesh) return;
    const point = new THREE.Vector3();
    for (let k = 0; k < each.geometry.attributes.position.count; k++) {
      box.expandByPoint(each.localToWorld(each.getVertexPosition(k, point))); // under the morph targets
    }
    meshes.push({
      material: each.material.name,
      textured: each.material.map !== null,
      targets: Object.keys(each.morphTargetDictionary ?? {}),
      weights: each.morphTargetInfluences ?? [],
      normals: (each.geometry.morphAttributes.normal ?? []).length,
    });
  });
  const names = [];
  gltf.scene.traverse((each) => names.push(each.name));
  console.log(JSON.stringify({ low: box.min.toArray(), high: box.max.toArray(), meshes, names, clips: gltf.animations.length }));
}
