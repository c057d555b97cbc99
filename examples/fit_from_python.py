"""A photo to a textured mesh in five lines of Python.

python examples/fit_from_python.py portrait.jpg mesh.obj
"""

import sys

from facefit import fit_photo, read_photo, write_result


def main(photo: str, mesh: str) -> None:
    result = fit_photo(read_photo(photo))[0]
    for path in write_result(result, mesh):
        print(path)
    print(f"landmark error {100 * result.landmark_error:.1f} % of the distance between the eyes")


if __name__ == "__main__":
    main(*sys.argv[1:3])
