"""Faces of a photo as MediaPipe's 478 landmarks each, by its networks, which lie inside the package: no download.

The networks are made for faces of about a fifth of the picture or more, upright and not cut off. What they miss is
looked for again in other views of the same photo (small faces cropped, a border added, rotated, enlarged); every view
is an affine map, and landmarks come back in photo pixels.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..anatomy.landmarks import (
    CHIN,
    FOREHEAD,
    IRISES,
    LEFT_EYE,
    LEFT_OUTER_CORNER,
    LIPS_OUTER,
    RIGHT_EYE,
    RIGHT_OUTER_CORNER,
)
from .face_networks import FaceNetworks, load_face_networks
from .faces import DetectedFace
from .regions import distinct, region_of_landmarks
from .views import Pyramid, View, attempts, bounds, flip, overlap, square

logger = logging.getLogger(__name__)

# The window of the second look: its side over the face's longest extent, and its pixels. Margins of 1.6 to 2.6 were
# measured against true landmarks; the widest was best, because the networks know faces with their surroundings.
CROP_MARGIN = 2.6
CROP_SIDE = 512
# Looks that differ by more than this share of the face's size have found something else.
CONSISTENT = 0.06
# Eyes and mouth of the box network lie within this share of the face's size of the mesh's, or it is another face.
AGREEMENT = 0.15
# The score of a face that only the mesh sees.
PRESENCE = 0.5
# The window around a face that only the box network for all faces sees: its side over the box's, and its pixels.
SMALL_MARGIN, SMALL_SIDE = 2.2, 384

Views = Callable[[int, int], Iterator[list[View]]]


@dataclass(frozen=True)
class Seen:
    """A face before it is looked at again.

    Attributes:
        points: (478, 3) photo pixels and depth.
        pyramid: its photo.
        upright: the crop around it, and what that shows.
        size: longer side of its box in photo pixels.
        score: how sure the box network is, PRESENCE where it does not see this face.
    """

    points: np.ndarray
    pyramid: Pyramid
    upright: View
    picture: np.ndarray
    size: float
    score: float


class NetworkDetector:
    """The landmark networks, with retries where they find nothing.

    Each face is looked at four times more in an upright crop, as it is and mirrored, where the box network sees it and
    again where its landmarks then are, and the looks that agree are averaged. Against the true landmarks of 16 renders
    of two scans this took the mean error from 3.22 to 3.00 % of the eye distance.
    """

    def __init__(
        self,
        max_faces: int = 10,
        refine: bool = True,
        *,
        views: Views = attempts,
        networks: FaceNetworks | None = None,
    ) -> None:
        """
        Args:
            max_faces: at most so many are reported.
            refine: average over several looks (see the class).
            views: of a photo's width and height: groups of views to look for faces in, until one shows any.
            networks: None is the bundled ones on one thread.
        Raises:
            ValueError: `max_faces` is less than 1.
            FaceFitError: onnxruntime or a network's file is missing.
        """
        if max_faces < 1:
            raise ValueError(f"max_faces is {max_faces}; expected at least 1")
        self.refine = refine
        self.max_faces = max_faces
        self._attempts = views
        self._networks = networks or load_face_networks()

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        """See LandmarkDetector.

        Raises:
            ValueError: `image` is not (H, W, 3) uint8.
        """
        return self.detect_many([image])[0]

    def detect_many(self, images: Sequence[np.ndarray]) -> list[list[DetectedFace]]:
        """The faces of several photos, which go through the networks together; each gets what `detect` gives it alone.

        Raises:
            ValueError: an image is not (H, W, 3) uint8.
        """
        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
                raise ValueError(f"image has shape {image.shape} and type {image.dtype}; expected (H, W, 3) uint8 RGB")
        found = self._found([Pyramid(image) for image in images])
        every = [face for faces in found for face in faces]
        points = iter(self._refined(every) if self.refine else [face.points for face in every])
        return [self._sorted([(next(points), face.score) for face in faces]) for faces in found]

    def _sorted(self, found: Sequence[tuple[np.ndarray, float]]) -> list[DetectedFace]:
        faces = [
            DetectedFace(points[:, :2].astype(np.float32), points[:, 2].astype(np.float32), float(score))
            for points, score in found
        ]
        # Ties keep reading order, so that numbers stay with their faces.
        faces.sort(key=lambda face: (-round(face.size, 1), face.box[1], face.box[0]))
        return faces[: self.max_faces]

    def _found(self, pyramids: Sequence[Pyramid]) -> list[list[Seen]]:
        """The faces of each photo, from the easiest views that show one."""
        found: list[list[Seen]] = [[] for _ in pyramids]
        unsure: list[list[Seen]] = [[] for _ in pyramids]
        left = {photo: self._attempts(pyramid.width, pyramid.height) for photo, pyramid in enumerate(pyramids)}
        for number in itertools.count(1):
            views = {photo: group for photo, groups in left.items() if (group := next(groups, None)) is not None}
            if not views:
                return [sure or doubtful for sure, doubtful in zip(found, unsure, strict=True)]
            points = self._look([(pyramids[photo], group) for photo, group in views.items()])
            looks = zip(views, points, strict=True)
            scored = iter(self._scored([(pyramids[photo], face) for photo, faces in looks for face in faces]))
            for photo, count in zip(views, map(len, points), strict=True):
                seen = list(itertools.islice(scored, count))
                sure = [face for face in seen if face.score > PRESENCE]
                if sure:
                    # A face that only the mesh sees may stand beside one that is sure, but not in place of it.
                    found[photo] = sure + [face for face in seen if face.score <= PRESENCE]
                    if number > 1:
                        logger.info("the face was found in attempt %d", number)
                unsure[photo] = unsure[photo] or seen
            left = {photo: left[photo] for photo in views if not found[photo]}
        raise AssertionError("views come to an end")

    def _look(self, groups: Sequence[tuple[Pyramid, list[View]]]) -> list[list[np.ndarray]]:
        """The different faces that a group of views shows of each photo, in photo pixels."""
        found: list[list[np.ndarray]] = [[] for _ in groups]
        for number in range(max((len(views) for _, views in groups), default=0)):
            shown = [
                (pyramid, views[number], faces)
                for (pyramid, views), faces in zip(groups, found, strict=True)
                if number < len(views)
            ]
            pictures = [view.render(pyramid) for pyramid, view, _ in shown]
            boxes, meshes = self._networks.far.find(pictures), self._meshes(pictures)
            for (pyramid, view, faces), seen_boxes, seen in zip(shown, boxes, meshes, strict=True):
                for points in seen:
                    add(view.to_photo(points), faces, pyramid)
                for seen_box in seen_boxes:  # small or far faces, which the box network for near ones cannot see
                    box = _box_in_photo(seen_box.box, view)
                    if all(overlap(box, bounds(points)) < 0.3 for points in faces):
                        centre, side = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() * SMALL_MARGIN
                        crop = square(centre, side, SMALL_SIDE, view.angle)
                        for points in self._meshes([crop.render(pyramid)])[0]:
                            add(crop.to_photo(points), faces, pyramid)
        return found

    def _meshes(self, pictures: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
        """The landmarks (478, 3) of each picture's near faces, in its pixels."""
        near = self._networks.near.find(pictures)
        regions = [distinct([box.region for box in boxes[: self.max_faces]]) for boxes in near]
        looks = [(picture, region) for picture, group in zip(pictures, regions, strict=True) for region in group]
        seen = iter(self._networks.mesh.look(looks))
        return [[points for _ in group if (points := next(seen)) is not None] for group in regions]

    def _scored(self, faces: Sequence[tuple[Pyramid, np.ndarray]]) -> list[Seen]:
        """Each face with how sure the box network is of it, its eyes and mouth where the mesh has them.

        On a head that is upside down the mesh returns an upright face that is not there.
        """
        if not faces:
            return []
        views = [upright(points) for _, points in faces]
        pictures = [view.render(pyramid) for (view, _), (pyramid, _) in zip(views, faces, strict=True)]
        scored = []
        boxes = self._networks.far.find(pictures)
        for (pyramid, points), (view, size), picture, seen in zip(faces, views, pictures, boxes, strict=True):
            mesh = np.stack([points[list(loop), :2].mean(0) for loop in (RIGHT_EYE, LEFT_EYE, LIPS_OUTER)])
            score = PRESENCE
            for box in seen:
                eyes_and_mouth = np.concatenate([box.points[[0, 1, 3]], np.zeros((3, 1))], 1)
                away = np.linalg.norm(view.to_photo(eyes_and_mouth)[:, :2] - mesh, axis=1).max()
                if away < AGREEMENT * size:
                    score = max(score, box.score)
            scored.append(Seen(points, pyramid, view, picture, size, score))
        return scored

    def _refined(self, faces: Sequence[Seen]) -> list[np.ndarray]:
        """The mean of several looks at an upright crop of each face; its landmarks where none agrees with them."""
        if not faces:
            return []
        views = [view for face in faces for view in (face.upright, flip(face.upright))]
        pictures = [picture for face in faces for picture in (face.picture, flip(face.upright).render(face.pyramid))]
        looks: list[list[np.ndarray]] = [[] for _ in faces]
        left = [(at, boxes[0].region) for at, boxes in enumerate(self._networks.near.find(pictures)) if boxes]
        for _ in range(2):  # where the box network sees the face, and where its landmarks are
            answers = self._networks.mesh.look([(pictures[at], region) for at, region in left])
            found = [(at, points) for (at, _), points in zip(left, answers, strict=True) if points is not None]
            for at, points in found:
                looks[at // 2].append(views[at].to_photo(points))
            left = [(at, region_of_landmarks(points)) for at, points in found]
        return [agreed(face, mine) for face, mine in zip(faces, looks, strict=True)]


def add(points: np.ndarray, found: list[np.ndarray], pyramid: Pyramid) -> None:
    """Put a face, (478, 3) photo pixels and depth, to those found, unless it is one of them or none of this photo."""
    if plausible(points, pyramid) and all(overlap(bounds(points), bounds(other)) < 0.5 for other in found):
        found.append(points)


def plausible(points: np.ndarray, pyramid: Pyramid) -> bool:
    """Whether a face, (478, 3) photo pixels and depth, has an extent and most of it lies within the photo."""
    inside = ((points[:, :2] >= 0) & (points[:, :2] <= (pyramid.width, pyramid.height))).all(1).mean()
    return bool(np.isfinite(points).all() and inside >= 0.5 and np.ptp(points[:, :2], axis=0).min() >= 4)


def upright(points: np.ndarray) -> tuple[View, float]:
    """The upright crop around a face, (478, 3) photo pixels and depth, and the face's size in photo pixels."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    size = float((high - low).max())
    across = points[LEFT_OUTER_CORNER, :2] - points[RIGHT_OUTER_CORNER, :2]
    if np.hypot(*across) < 0.2 * size:  # a profile: the eyes lie behind each other, forehead and chin tell the roll
        down = points[CHIN, :2] - points[FOREHEAD, :2]
        across = np.array([down[1], -down[0]])
    roll = np.degrees(np.arctan2(across[1], across[0]))
    return square(points[: IRISES.start, :2].mean(0), size * CROP_MARGIN, CROP_SIDE, -roll), size


def agreed(face: Seen, looks: Sequence[np.ndarray]) -> np.ndarray:
    """(478, 3) photo pixels and depth: the mean of the looks that show this face; its landmarks where none does."""
    agreeing = [
        look
        for look in looks
        if np.linalg.norm(look[:, :2] - face.points[:, :2], axis=1).mean() < CONSISTENT * face.size
    ]
    return np.mean(agreeing, 0) if agreeing else face.points


def _box_in_photo(box: np.ndarray, view: View) -> np.ndarray:
    """The box around a view's box, in photo pixels."""
    left, top, right, bottom = box
    corners = np.array([[left, top, 0], [right, top, 0], [left, bottom, 0], [right, bottom, 0]])
    return bounds(view.to_photo(corners))


@functools.lru_cache(maxsize=2)
def load_detector(refine: bool = True) -> NetworkDetector:
    """The default detector, made once per process."""
    return NetworkDetector(refine=refine)
