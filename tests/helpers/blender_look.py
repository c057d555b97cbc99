"""What Blender makes of mesh files, a line of JSON for each. Run by a Python that has bpy: blender_look.py FILE...

A name may be followed by @ and a scale for the import: face.obj@0.001.
"""

import json
import sys

import bpy

IMPORTERS = {
    "glb": lambda path, scale: bpy.ops.import_scene.gltf(filepath=path),
    "obj": lambda path, scale: bpy.ops.wm.obj_import(filepath=path, global_scale=scale),
    "ply": lambda path, scale: bpy.ops.wm.ply_import(filepath=path, global_scale=scale),
    "usdz": lambda path, scale: bpy.ops.wm.usd_import(filepath=path),
}


def look(path, scale):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    IMPORTERS[path.rpartition(".")[2]](path, scale)
    bpy.context.scene.frame_set(1)
    graph = bpy.context.evaluated_depsgraph_get()
    shapes = {bone.custom_shape for thing in bpy.context.scene.objects if thing.pose for bone in thing.pose.bones}
    shown = [thing for thing in bpy.context.scene.objects if thing.type == "MESH" and thing not in shapes]
    (thing,) = shown
    mesh, keys = thing.data, thing.data.shape_keys
    evaluated = thing.evaluated_get(graph)  # under the shape keys
    points = [evaluated.matrix_world @ vertex.co for vertex in evaluated.to_mesh().vertices]
    used = [node for material in mesh.materials if material for node in material.node_tree.nodes]
    return {
        "low": [min(point[axis] for point in points) for axis in range(3)],
        "high": [max(point[axis] for point in points) for axis in range(3)],
        "names": [thing.name for thing in bpy.context.scene.objects],
        "bones": sorted(bone.name for other in bpy.context.scene.objects if other.pose for bone in other.pose.bones),
        "materials": [material.name for material in mesh.materials],
        "pictures": [tuple(node.image.size) for node in used if node.type == "TEX_IMAGE" and node.image],
        "keys": {} if keys is None else {key.name: key.value for key in keys.key_blocks[1:]},
        "smooth": all(polygon.use_smooth for polygon in mesh.polygons),
        "layouts": len(mesh.uv_layers),
        "colours": None if mesh.color_attributes.active_color is None else mesh.color_attributes.active_color.name,
    }


for word in sys.argv[1:]:
    name, _, scale = word.partition("@")
    print("LOOK", json.dumps(look(name, float(scale or 1))))
