"""Whether a finished fit lies on the face that it was fitted to."""

from __future__ import annotations

import math

from ..errors import FitError
from ..metrics.part_iou import mean_iou

DOUBTFUL = "doubtful"  # the status of a fit that may not lie on the face

# Landmark error beyond which a fit is doubtful, and beyond which it is none; mean Part IoU below which it is doubtful.
# Measured with 40 iterations (2 where not said otherwise) on the development photos (wild, fasseg, synthetic,
# ict_synthetic, and photos turned by 60 to 90 degrees): landmark error, Part IoU, and how many end as what.
#
#   good, 45 fits                        median 1.5 %, worst 9.4 % (a full profile); IoU .47 to .85    all fits
#   good, turned by 60 degrees, 28       median 4.5 %, worst 8.9 %; IoU .50 to .78                     all fits
#   turned by 75 and 90 degrees, 57      median 7.2 %, worst 12.2 %                           54 fits, 3 doubtful
#   --fov 170, 15 (40 iterations)        4.1 % to 1.4e9 %      14 failed, 1 fit (4.1 %, IoU .65)
#   --fov 0.1, 15 (40 iterations)        1 to 5 %, IoU 0 where nothing can be drawn     13 doubtful, 2 fits (IoU .6)
#   --like, identity at 50 deviations    25 % and more, IoU up to .19                   15 failed
#   the same at 20                       14 to 52 %, IoU up to .26                      13 failed, 2 doubtful
#   the same at 10                       10 to 39 %, IoU .07 to .34                     7 failed, 7 doubtful, 1 fit
#   the same at 5                        9 to 18 %, IoU .19 to .46                      8 doubtful, 7 fits
#   the same at 3, a rare face           5 to 10 %, IoU .21 to .64                      1 doubtful, 14 fits
#   --init with another person's fit     10 to 116 %, IoU .03 to .27                    11 failed, 3 doubtful
DOUBTFUL_LANDMARKS, FAILED_LANDMARKS, DOUBTFUL_IOU = 0.12, 0.20, 0.30


def verdict(status: str, landmark_error: float, parts: dict[str, float | None]) -> str | FitError:
    """The status of a finished fit, or why it is none.

    Args:
        status: why it stopped. landmark_error: share of the eye distance. parts: Part IoU with the photo's own masks.
    Returns:
        DOUBTFUL, or `status` as it is.
    """
    if not math.isfinite(landmark_error) or landmark_error > FAILED_LANDMARKS:
        return FitError(
            f"the fit does not lie on the face: landmark error {100 * landmark_error:.3g} % of the eye distance, "
            f"at most {100 * FAILED_LANDMARKS:g} % is a fit; check --fov, --focal and the earlier fit it began with"
        )
    overlap = mean_iou(parts)
    if landmark_error > DOUBTFUL_LANDMARKS or (overlap is not None and overlap < DOUBTFUL_IOU):
        return DOUBTFUL
    return status
