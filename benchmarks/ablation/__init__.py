"""The comparison of Wang et al. 2024, fig. 8 to 10, as numbers: what can a fit do with part masks alone?

Each method turns the masks of the facial parts into an energy; everything else is the same for all: faces, starts,
optimiser, budget, regularisation, the search of the settings, and how the result is judged. No landmark, no colour.

    python -m benchmarks.ablation DATA_DIR --out DIR --jobs 2

* faces.py     which photos, in which split, with which masks; looked at once and kept in DIR
* starts.py    where a fit begins: near the answer, and far from it
* part_mesh.py, scene.py   what the methods see of the mesh: points and triangles of its parts, in window pixels
* losses.py    the methods by name; point_losses.py, silhouettes.py, coverage.py   what they compute
* fitting.py   one fit and its figures
* tuning.py    the same small search of the settings for each method
* run.py       everything, resumable; table.py   from lines of figures to the tables of docs/prdl.md
* variants.py  what PRDL's own choices are worth
"""
